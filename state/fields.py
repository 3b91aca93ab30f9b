"""Single fields of an event: ids, texts, numbers and money as trackers write them, made exact or refused.

Ids that are too long are refused, since a cut id would be another's; texts that are only shown are cut.
"""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

import msgspec

from state.money import Money, money

ID_CHARS_MAX = 256
TEXT_CHARS_MAX = 1024
URL_CHARS_MAX = 2048
QUANTITY_MAX = 1_000_000
NUMBER_CHARS_MAX = 64

Text = str | int | float | None
Number = msgspec.Raw  # read from its own text: exact, and looking the text up is cheaper than a Decimal's hash
NO_NUMBER = msgspec.Raw(b"")


class BadField(ValueError):
    """A field that cannot be used; the text names it and says why, without its value."""


def ident(value: Text, field: str) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else _number_text(value)
    if len(text) > ID_CHARS_MAX or not text.isprintable():
        raise unreadable(field)
    return text


def identifier(value: str | int | None) -> str | None:
    """The id as text, empty where there is none; None where it cannot be one."""
    if value is None:
        return ""
    text = str(value)
    return text if len(text) <= ID_CHARS_MAX and text.isprintable() else None


def unreadable(field: str) -> BadField:
    return BadField(f"{field} is longer than {ID_CHARS_MAX} characters or has control characters")


def shown(value: Text, limit: int = TEXT_CHARS_MAX) -> str:
    if value is None:
        return ""
    return value[:limit] if isinstance(value, str) else _number_text(value)


def _number_text(value: int | float) -> str:
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else str(value)[:40]


@lru_cache(maxsize=1024)
def currency_of(value: Text, default: str) -> str:
    text = value.strip().upper() if isinstance(value, str) else ""
    if not text:
        return default
    if len(text) != 3 or not text.isascii() or not text.isalpha():
        raise BadField("currency is not a code of three letters")
    return text


def money_of(value: Number, currency: str, field: str) -> Money | None:
    if value is NO_NUMBER:
        return None
    try:
        return _exact(bytes(value), currency)
    except ValueError:
        raise BadField(f"{field} is not an amount of money") from None


@lru_cache(maxsize=16384)  # a shop has few prices
def _exact(text: bytes, currency: str) -> Money | None:
    number = decimal_of(text)
    return None if number is None else money(number, currency)


@lru_cache(maxsize=1024)
def _whole(text: bytes) -> int | None:
    number = decimal_of(text)
    if number is None:
        return None
    if not number.is_finite() or not 0 <= number <= QUANTITY_MAX or number != number.to_integral_value():
        raise ValueError
    return int(number)


def quantity_of(value: Number) -> int | None:
    if value is NO_NUMBER:
        return None
    try:
        return _whole(bytes(value))
    except ValueError:
        raise BadField(f"quantity is not a whole number from 0 to {QUANTITY_MAX}") from None


def decimal_of(text: bytes) -> Decimal | None:
    """The number that a JSON value spells, as a number or as a text; None for nothing.  Raises `ValueError`."""
    if text in (b"", b"null", b'""'):
        return None
    if len(text) > NUMBER_CHARS_MAX or b"_" in text:
        raise ValueError
    try:
        return Decimal(text.decode("ascii").strip('"'))
    except (ArithmeticError, UnicodeError):
        raise ValueError from None
