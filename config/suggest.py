"""What somebody probably meant who wrote the name of a setting that does not exist."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

ELSE = "Take it out; docs/configuration.md lists what there is."


def unknown(name: str, known: Iterable[str], *, variable: bool = False) -> str:
    """The way out for an unknown setting `name` (`section.setting`): the nearest in its section, or anywhere."""
    names = list(known)
    section, _, last = name.rpartition(".")
    siblings = [each for each in names if each.rpartition(".")[0] == section]
    near = _nearest(name, siblings) or _same_last(last, names) or _nearest(name, names)
    if near is None:
        return ELSE
    if variable:
        return f"Did you mean IMPULS_{near.upper().replace('.', '__')}?"
    near_section, _, near_last = near.rpartition(".")
    if near_section == section:
        return f"Did you mean {near_last}?"
    return (
        f"Did you mean {near_last} in [{near_section}]?"
        if near_section
        else f"Did you mean {near}, above all sections?"
    )


def _nearest(name: str, names: Iterable[str]) -> str | None:
    return next(iter(get_close_matches(name, list(names), 1, 0.7)), None)


def _same_last(last: str, names: Iterable[str]) -> str | None:
    return next((each for each in names if each.rpartition(".")[2] == last), None)
