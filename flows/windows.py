"""The windows that the shipped flows and their messages read."""

from __future__ import annotations

from datetime import timedelta

from operators.flow import hours
from operators.windows import last, session
from state.events import ProductViewed

QUIET = hours(2)  # a visit has ended when nothing was looked at for so long
SHOWN_MAX = 12


def product(view: ProductViewed) -> str:
    return view.product_id


# A view that comes at the very moment the quiet is over still belongs to the visit.
visit = session("visit", on=ProductViewed, gap=QUIET + timedelta(milliseconds=1), keep=last(SHOWN_MAX, product))
