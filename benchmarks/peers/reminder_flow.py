"""The job as a flow of Impuls: the first step of the shipped `abandoned_cart`, and a window kept beside it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import flows
from benchmarks.peers.job import REMINDED_AFTER_MS
from flows import messages
from operators.flow import Flow, days, on, send, wait
from operators.windows import Window, count, sliding
from state.carts import CartChanged, CartEmptied, CartEvent, CartOrdered
from state.events import ProductViewed

TEMPLATES = Path(flows.__file__).parent / "templates"

reminder = Flow(
    "reminder",
    enter=on(CartChanged),
    per=CartEvent,
    restart=True,
    leave=[on(CartOrdered), on(CartEmptied)],
    steps=[wait("cooling_off", timedelta(milliseconds=REMINDED_AFTER_MS)), send(messages.cart_reminder)],
)
FLOWS: list[Flow[Any]] = [reminder]
WINDOWS: list[Window] = [sliding("views", on=ProductViewed, over=days(1), keep=count())]
