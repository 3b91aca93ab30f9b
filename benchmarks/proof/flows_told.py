"""The flows of a shop whose customers wait for a product; the module that the fan-out's deployment names in `flows`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
from flows import messages
from flows.abandoned_cart import abandoned_cart
from flows.waiting import waits_for_it
from flows.welcome import welcome
from operators.flow import Flow, on, send
from state.catalogue import PriceDropped

# As it ships, but for the spread over ten minutes.
price_drop = Flow(
    "price_drop",
    enter=on(PriceDropped, where=waits_for_it),
    per=PriceDropped,
    steps=[send(messages.price_drop)],
)
FLOWS: list[Flow[Any]] = [abandoned_cart, price_drop, welcome]
TEMPLATES = Path(flows.__file__).parent / "templates"
