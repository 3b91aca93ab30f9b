"""How carriers count text messages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.segments import length
from state.phones import e164


@pytest.mark.parametrize(
    ("text", "alphabet", "places", "segments"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),  # the euro does not fit the first and is not cut in two
        ("Cześć"[:3] + "sc", "GSM-7", 5, 1),
        ("ł" * 70, "UCS-2", 70, 1),
        ("ł" * 71, "UCS-2", 71, 2),
        ("ł" * 134, "UCS-2", 134, 2),
        ("ł" * 135, "UCS-2", 135, 3),
        ("😀" * 35, "UCS-2", 70, 1),
        ("😀" * 36, "UCS-2", 72, 2),
        ("😀" * 67, "UCS-2", 134, 3),  # 33 whole ones in each
        ("it’s", "UCS-2", 4, 1),
    ],
)
def test_a_text_is_counted_as_carriers_bill_it(text: str, alphabet: str, places: int, segments: int) -> None:
    assert length(text)[:3] == (alphabet, places, segments)


def test_the_sign_that_makes_a_text_dear_is_named() -> None:
    assert length("5 zł, już").strange == "ł"
    assert length("5 PLN").strange == ""


@given(st.text(max_size=400))
def test_no_text_is_counted_shorter_than_it_is(text: str) -> None:
    found = length(text)
    alone, each = {"GSM-7": (160, 153), "UCS-2": (70, 67)}[found.alphabet]
    assert found.segments == 1 if found.places <= alone else found.places <= found.segments * each
    if found.alphabet == "UCS-2":
        assert found.places == len(text.encode("utf-16-le")) // 2


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("+48600100200", "+48600100200"),
        (" +48 600-100-200 ", "+48600100200"),
        ("0048 (600) 100.200", "+48600100200"),
        ("+1/555/0100123", "+15550100123"),
        ("600 100 200", ""),
        ("+0600100200", ""),
        ("+48600", ""),
        ("+4860010020012345", ""),
        ("+48600100200;ext=1", ""),
        ("+٤٨٦٠٠١٠٠٢٠٠", ""),
        ("", ""),
    ],
)
def test_numbers_are_read_as_shops_write_them_and_never_guessed(written: str, number: str) -> None:
    assert e164(written) == number
