"""The filters that templates have for what shops say: money, links, names."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from babel import Locale, UnknownLocaleError
from babel.numbers import parse_pattern

from connectors.sandbox import RenderError, budget
from state.money import exponent

LINK_CHARS_MAX = 2000
NAME_CHARS_MAX = 40
_CODE_AT_NUMBER = re.compile(r"(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])")  # "PLN19.99", which CLDR would space
_LOCALE = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}")
_NOT_A_NAME = re.compile(r"[^\w .'’´`-]|\w\.\w|\d|_")
_NOT_IN_A_LINK = re.compile(r"[\s\x00-\x20\x7f-\x9f\"'<>\\^`{|}]")


def money(minor: Any, currency: str) -> str:
    """`1999 | money("PLN")` → `19,99 zł`: minor units, written exactly, as the reader's locale has it."""
    if not isinstance(minor, int) or isinstance(minor, bool):
        raise RenderError("it formats something as money that is no whole number of minor units")
    return _money(minor, str(currency), budget.get().locale)


def link(url: Any) -> str:
    """A web address that came with an event, or nothing where it is another thing (`javascript:`, a bare word)."""
    text = url if isinstance(url, str) else ""
    if len(text) > LINK_CHARS_MAX or _NOT_IN_A_LINK.search(text):
        return ""
    try:
        parts = urlsplit(text)
        return text if parts.scheme in ("http", "https") and parts.hostname else ""
    except ValueError:
        return ""


def person(name: Any) -> str:
    """A name to greet somebody by, or nothing where it is none: forms of shops are used to send out links that way."""
    text = " ".join(name.split()) if isinstance(name, str) else ""
    return "" if len(text) > NAME_CHARS_MAX or _NOT_A_NAME.search(text) else text


FILTERS: dict[str, Callable[..., Any]] = {"money": money, "link": link, "person": person}


@lru_cache(maxsize=1024)
def locale_or_none(text: str) -> Locale | None:
    """`pl-PL`, `pl_PL` or `pl`; None where there is no such locale."""
    if not _LOCALE.fullmatch(text):
        return None
    try:
        return Locale.parse(text, sep="-" if "-" in text else "_")
    except (ValueError, UnknownLocaleError):
        return None


@lru_cache(maxsize=8192)
def _money(minor: int, currency: str, locale: Locale) -> str:
    digits = exponent(currency)
    pattern = parse_pattern(locale.currency_formats["standard"].pattern)
    pattern.frac_prec = (digits, digits)  # the locale's own number of decimals would round some currencies
    amount = Decimal(minor).scaleb(-digits)
    told = str(pattern.apply(amount, locale, currency=currency, currency_digits=False))
    return _CODE_AT_NUMBER.sub("\xa0", told)
