"""Tell those who wait for a product that it has become cheaper."""

from __future__ import annotations

from flows import messages
from flows.waiting import SPREAD, bought_it_meanwhile, waits_for_it
from operators.flow import Flow, leave, on, send, split, wait_spread, when
from state.catalogue import PriceDropped

price_drop = Flow(
    "price_drop",
    enter=on(PriceDropped, where=waits_for_it),
    per=PriceDropped,
    steps=[
        wait_spread("in_turn", SPREAD),
        split(when(bought_it_meanwhile, leave), otherwise=[send(messages.price_drop)]),
    ],
)
