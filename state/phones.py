"""Phone numbers as the world dials them (E.164)."""

from __future__ import annotations

import re
from functools import lru_cache

_WRITTEN = re.compile(r"[ \u00a0().\-/]")
_NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")


@lru_cache(maxsize=4096)
def e164(text: str) -> str:
    """`+48600100200` from what a shop wrote (`+48 600-100-200`, `0048600100200`), or nothing where it is none.

    A number without its country is nobody's: guessing would send one customer's message to another.
    """
    digits = _WRITTEN.sub("", text.strip())
    if digits.startswith("00"):
        digits = f"+{digits[2:]}"
    return digits if _NUMBER.fullmatch(digits) else ""
