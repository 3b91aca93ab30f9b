"""The kinds of settings: how a value from TOML is read and judged, and how it is written again.

A kind's `read` raises `Unfit`, which says what is wrong with the value and what would do; it never quotes the
value, since some are secrets. Kinds that are about time are in `config.times`, those about who and where in
`config.addresses`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Generic, Literal, TypeVar

from config.faults import Unfit

T = TypeVar("T")
Choice = TypeVar("Choice", bound=str)
TomlValue = str | int | float | bool | Sequence["TomlValue"] | Mapping[str, "TomlValue"]

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Kind(Generic[T]):
    """`form` is how an environment variable is understood: as it stands, as TOML, or as a list with commas."""

    read: Callable[[object], T]
    write: Callable[[T], TomlValue]
    form: Literal["text", "toml", "list"] = "text"


def as_text(value: object, way_out: str) -> str:
    if not isinstance(value, str):
        raise Unfit("which is not text", way_out)
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in value):
        raise Unfit("which has a control character in it", way_out)
    return value


def as_texts(value: object, way_out: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise Unfit("which is not a list of texts", way_out)
    return tuple(value)


def text(example: str, *, empty: bool = False) -> Kind[str]:
    def read(value: object) -> str:
        way_out = f'Something like "{example}" will do.' if example else "Text in quotes will do."
        found = as_text(value, way_out)
        if not found.strip() and not empty:
            raise Unfit("which is empty", way_out)
        return found

    return Kind(read, str)


def secret() -> Kind[str]:
    return text("", empty=True)


def whole(least: int, most: int, example: int) -> Kind[int]:
    def read(value: object) -> int:
        way_out = f"Something like {example} will do."
        if not isinstance(value, int) or isinstance(value, bool):
            raise Unfit("which is not a whole number", way_out)
        if not least <= value <= most:
            raise Unfit(f"which is not between {least} and {most}", way_out)
        return value

    return Kind(read, int, "toml")


def whole_or_none(least: int, most: int, example: int) -> Kind[int | None]:
    """A limit that can be off."""
    inner = whole(least, most, example)

    def read(value: object) -> int | None:
        if value == "none":
            return None
        try:
            return inner.read(value)
        except Unfit as unfit:
            raise Unfit(unfit.fact, f'Something like {example} will do, or "none".') from None

    return Kind(read, lambda value: "none" if value is None else value, "toml")


def number(least: float, most: float, example: float) -> Kind[float]:
    def read(value: object) -> float:
        way_out = f"Something like {example:g} will do."
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise Unfit("which is not a number", way_out)
        if not least <= value <= most:
            raise Unfit(f"which is not between {least:g} and {most:g}", way_out)
        return float(value)

    return Kind(read, lambda value: int(value) if value == int(value) else value, "toml")


def flag() -> Kind[bool]:
    def read(value: object) -> bool:
        if not isinstance(value, bool):
            raise Unfit("which is neither true nor false", "Write true or false, without quotes.")
        return value

    return Kind(read, bool, "toml")


def one_of(*choices: Choice) -> Kind[Choice]:
    def read(value: object) -> Choice:
        for choice in choices:
            if value == choice:
                return choice
        near = get_close_matches(value, choices, 1) if isinstance(value, str) else []
        hint = f' Did you mean "{near[0]}"?' if near else ""
        raise Unfit("which is not one of the choices", f"Choose {_choices(choices)}.{hint}")

    return Kind(read, str)


def path() -> Kind[Path]:
    return Kind(lambda value: Path(text(".local/impuls").read(value)), str)


def file_or_none() -> Kind[Path | None]:
    """A file that must be there and be readable; empty for none."""

    def read(value: object) -> Path | None:
        found = as_text(value, "The path of a file will do.")
        if not found:
            return None
        if not Path(found).is_file():
            raise Unfit("where there is no file", "Name a file that is there, or leave it empty.")
        return Path(found)

    return Kind(read, lambda value: str(value) if value else "")


def currency() -> Kind[str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or not re.fullmatch("[A-Z]{3}", value):
            raise Unfit("which is not a currency's three letters (ISO 4217)", 'Something like "PLN" or "EUR" will do.')
        return value

    return Kind(read, str)


def module() -> Kind[str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or not _MODULE.fullmatch(value):
            raise Unfit("which is not a module's name", 'Something like "flows" or "shop.flows" will do.')
        return value

    return Kind(read, str)


def _choices(choices: Sequence[str]) -> str:
    quoted = [f'"{choice}"' for choice in choices]
    return f"{', '.join(quoted[:-1])} or {quoted[-1]}"
