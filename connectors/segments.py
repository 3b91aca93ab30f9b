"""How long a text message is: in which alphabet it goes, and how many messages the carrier counts and bills.

3GPP TS 23.038.  A text of the basic alphabet has 160 places in one message or 153 in each of several, some signs taking
two; one sign that is not in it makes the whole text UCS-2, with 70 or 67.  No sign is cut in two.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("^{}\\[~]|€\f")  # an escape before them takes a place of its own
_PLACES = {"GSM-7": (160, 153), "UCS-2": (70, 67)}


class Length(NamedTuple):
    """`places` (septets, or UTF-16 units) in so many `segments`; `strange` is the first sign that makes it UCS-2."""

    alphabet: Literal["GSM-7", "UCS-2"]
    places: int
    segments: int
    strange: str = ""


def length(text: str) -> Length:
    strange = next((sign for sign in text if sign not in _BASIC and sign not in _EXTENDED), "")
    if strange:
        return _counted("UCS-2", [2 if ord(sign) > 0xFFFF else 1 for sign in text], strange)
    return _counted("GSM-7", [2 if sign in _EXTENDED else 1 for sign in text], "")


def _counted(alphabet: Literal["GSM-7", "UCS-2"], sizes: list[int], strange: str) -> Length:
    alone, each = _PLACES[alphabet]
    places = sum(sizes)
    if places <= alone:
        return Length(alphabet, places, 1, strange)
    segments, taken = 1, 0
    for size in sizes:
        if taken + size > each:
            segments, taken = segments + 1, 0
        taken += size
    return Length(alphabet, places, segments, strange)
