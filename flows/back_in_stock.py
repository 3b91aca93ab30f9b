"""Tell those who wait for a product that they can buy it again."""

from __future__ import annotations

from flows import messages
from flows.waiting import SPREAD, bought_it_meanwhile, waits_for_it
from operators.flow import Flow, leave, on, send, split, wait_spread, when
from state.catalogue import BackInStock

back_in_stock = Flow(
    "back_in_stock",
    enter=on(BackInStock, where=waits_for_it),
    per=BackInStock,
    steps=[
        wait_spread("in_turn", SPREAD),
        split(when(bought_it_meanwhile, leave), otherwise=[send(messages.back_in_stock)]),
    ],
)
