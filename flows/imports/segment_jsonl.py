"""Segment events, one JSON object a line, passed through as they are.

A line that is no event is passed on too, without a key: whoever reads it sets it aside with its reason, as it would
have done had it come through any other door.
"""

from __future__ import annotations

from collections.abc import Iterator

from flows.imports.form import Imported, Lines
from state.decode import peek_customer, peek_time


def read(lines: Lines) -> Iterator[Imported]:
    """The lines of one file, in its order; blank ones are left out."""
    for line in lines:
        text = line.text.strip()
        if text:
            yield Imported(peek_customer(text) or b"", text, peek_time(text) or 0)
