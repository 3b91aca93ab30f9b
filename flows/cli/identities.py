"""Who is whom, for the commands: a customer's other ids, and the words about them."""

from __future__ import annotations

from typing import Any

from state.customer import Customer
from state.instants import format_instant

_REFUSED = {
    "nobody": "it stands for nobody in particular",
    "known": "it is a known customer's own",
    "is_alias": "she is an alias herself",
    "shared": "too many customers use it",
}


def other_ids(record: Customer) -> list[str]:
    """The anonymous ids that became her."""
    return [link.anonymous for link in record.joined.links if link.merged] if record.joined is not None else []


def shown_identity(record: Customer) -> dict[str, Any]:
    joined, alias = record.joined, record.alias
    shown: dict[str, Any] = {}
    if joined is not None:
        shown["also_known_as"] = [
            {
                "id": link.anonymous,
                "since": format_instant(link.at),
                "state": "awaited" if not link.merged else "claimed_by_another" if link.ended else "merged",
            }
            for link in joined.links
        ]
        shown["refused_claims"] = [{"id": id, "reason": reason} for id, reason in joined.notes.items()]
    if alias is not None:
        shown["alias_of"] = alias.of or None
        shown["alias_since"] = format_instant(alias.since) if alias.of else None
        shown["shared_device"] = alias.shared
    return shown


def note_on(record: Customer) -> str:
    """What somebody who asks about this id must know first; empty where that is nothing."""
    alias = record.alias
    if alias is None or not alias.of:
        return ""
    return f"{record.id} is an alias of {alias.of} since {format_instant(alias.since)}. All that is known is there."


def refusals_of(record: Customer) -> list[str]:
    notes = record.joined.notes if record.joined is not None else {}
    return [f"{id} was not taken for her: {_REFUSED[reason]}." for id, reason in notes.items()]
