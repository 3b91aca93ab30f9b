"""Tokens in links: opaque to everybody, unforgeable, and good for as long as mails are kept."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.tokens import CHARS_MAX, Tokens, UnsubscribeToken

SECRET = b"a deployment's secret, long enough to be one"
TOKEN = UnsubscribeToken("anna.kowalska@example.com", "email", "marketing", "0123456789abcdef" * 2, 1_790_000_000)
tokens = Tokens(SECRET)


@given(st.builds(UnsubscribeToken, st.text(), st.text(), st.text(), st.text(), st.integers(0, 2**40)))
def test_what_is_sealed_is_opened(token: UnsubscribeToken) -> None:
    assert tokens.open(tokens.seal(token)) == token


def test_a_token_stands_in_a_link_as_it_is() -> None:
    assert re.fullmatch(r"[A-Za-z0-9_-]{20,300}", tokens.seal(TOKEN))


def test_nobody_reads_in_a_link_whom_it_is_for() -> None:
    text = tokens.seal(TOKEN)
    raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    assert b"anna" not in raw
    assert b"marketing" not in raw


def test_a_link_works_years_later_and_after_a_restart() -> None:
    assert Tokens(SECRET).open(Tokens(SECRET).seal(TOKEN._replace(issued_at=0))) == TOKEN._replace(issued_at=0)


def test_another_shop_cannot_make_a_token_of_ours() -> None:
    assert tokens.open(Tokens(b"another secret of another deployment").seal(TOKEN)) is None


def test_one_changed_character_is_one_too_many() -> None:
    text = tokens.seal(TOKEN)
    for position in range(len(text)):
        changed = text[:position] + ("A" if text[position] != "A" else "B") + text[position + 1 :]
        assert tokens.open(changed) is None, position


def test_a_token_that_was_cut_or_grew_is_none() -> None:
    text = tokens.seal(TOKEN)
    assert [length for length in range(len(text)) if tokens.open(text[:length])] == []
    assert tokens.open(text + "A") is None
    assert tokens.open(text + "=") is None
    assert tokens.open(f" {text}") is None


@pytest.mark.parametrize("text", ["", "=", "ł", "..", "A" * CHARS_MAX, "A" * (CHARS_MAX + 1), "\x00", "a b"])
def test_rubbish_is_no_token(text: str) -> None:
    assert tokens.open(text) is None


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    assert tokens.open(text) is None
