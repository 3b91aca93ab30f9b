"""Of messages that were put off to one moment the one that was wanted first goes first, whatever their names are."""

from __future__ import annotations

from typing import Any

import pytest

from operators.flow import Flow, Template, hours, minutes, on, send, wait
from operators.guards import Rules
from operators.simulate import happening, simulate
from state.customer import Customer
from state.events import Event, ProductAdded

NIGHT = Rules(quiet_from=11 * 60, quiet_to=16 * 60, min_gap=60 * 60_000)  # it is noon


def nothing(_: Event, __: Customer) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize("number", range(8))  # of which, by the hashes of their ids, about half come in each order
def test_the_gap_drops_the_message_that_was_wanted_later(number: int) -> None:
    first, second = (Template(name, nothing) for name in ("first", "second"))
    flow = Flow(
        f"flow_{number}", enter=on(ProductAdded), steps=[send(first), wait("a_while", minutes(5)), send(second)]
    )
    added = happening("Product Added", product_id="p1", price=10.0)
    made = simulate(flow).under(NIGHT).at(hours(0), added).decided(hours(8))
    looked_at = [each for each in made if each.outcome != "defer" or each.reason != "quiet_hours"]
    assert [(each.message, each.outcome) for each in looked_at][:2] == [("first", "send"), ("second", "defer")]
