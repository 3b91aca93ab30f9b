"""Gates: moments that a customer does not pass before another shard has spoken.

A known customer stands at the moment of her claim until what was known of her before has come; an anonymous one at the
moment at which she is claimed, until the customer who claims her has said so.  Events later than a gate are held, and
no later wait ends.
"""

from __future__ import annotations

from typing import NamedTuple

from state.aliases import Coming, Link
from state.customer import Customer


class Gate(NamedTuple):
    """`at` is a moment of event time; `is_open` when nothing but the clock has to come there."""

    at: int
    claim: str
    is_open: bool
    what: Link | Coming


def first_gate(customer: Customer) -> Gate | None:
    """The gate she comes to first."""
    joined, alias = customer.joined, customer.alias
    found: Gate | None = None
    if joined is not None:
        for link in joined.links:
            if not link.merged and (found is None or (link.at, link.claim) < found[:2]):
                found = Gate(link.at, link.claim, link.has_come, link)
    if alias is not None:
        for coming in alias.coming:
            if found is None or (coming.at, coming.claim) < found[:2]:
                found = Gate(coming.at, coming.claim, coming.is_said, coming)
    return found
