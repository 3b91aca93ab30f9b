"""How a section of settings is declared and listed. Which settings there are is in `config.settings`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, TypeVar, cast

from config.kinds import Kind

T = TypeVar("T")
_KNOB = "knob"


@dataclass(frozen=True, slots=True)
class Knob:
    """One setting: `name` and `default` as the file writes them, `attribute` as the code calls it.

    A fault never quotes what is `secret` or `personal`; `show` masks what is `secret`.
    """

    name: str
    attribute: str
    kind: Kind[Any]
    default: object
    secret: bool
    personal: bool


def knob(kind: Kind[T], default: object, *, name: str = "", secret: bool = False, personal: bool = False) -> T:
    """A field of a section. `default` is as the file writes it; so is `name`, where the code has another."""
    facts = (name, kind, default, secret, personal)
    return field(default_factory=lambda: kind.read(default), metadata={_KNOB: facts})


def knobs(section: type[Any]) -> Iterator[Knob]:
    """The settings of a section, in the order they are declared, without those of sections inside it."""
    for each in fields(section):
        if _KNOB in each.metadata:
            name, kind, default, secret, personal = each.metadata[_KNOB]
            yield Knob(name or each.name, each.name, kind, default, secret, personal)


def sections(settings: type[Any]) -> dict[str, type[Any]]:
    """Sections by name, in the order they are declared."""
    return {each.name: cast("type[Any]", each.default_factory) for each in fields(settings) if not each.metadata}
