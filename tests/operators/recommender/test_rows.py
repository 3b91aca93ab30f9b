"""Rows as they are kept, read and cut: what is quick says what is plain."""

from __future__ import annotations

import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.recommender.choosing import best
from operators.recommender.rows import HEAD, VERSION, Row, cut, from_bytes, to_bytes
from state.store_errors import StoreDamaged

few_weights = st.sampled_from([0.25, 0.5, 1.0, 1.5, 3.0])  # many are equal
weights = st.dictionaries(st.text("abcż", min_size=1, max_size=4), few_weights | st.floats(1e-9, 1e9), max_size=60)

A_ROW = bytes.fromhex(
    "0196cb400400000000000081a162cb4004000000000000cb3fe000000000000081a2c5bccb3fe0000000000000cb4008000000000000"
    "82a162cb3fdc924924924925a2c5bccb3fd4000000000000"
)
"""Written when rows were read as a whole: 2.5 of `b` after it, 0.5 of `ż` before it, and both at its head."""


def row_of(after: dict[str, float], before: dict[str, float]) -> Row:
    return Row(after, float(sum(after.values())), before, float(sum(before.values())))


@given(weights, st.integers(1, 70))
def test_a_cut_keeps_what_sorting_all_would_in_the_same_order(weights: dict[str, float], width: int) -> None:
    whole = sorted(weights.items(), key=lambda each: each[1], reverse=True)[:width]
    kept = list(cut(weights, width).items())
    assert kept == (whole if len(weights) > width else list(weights.items()))


@given(weights, st.integers(0, 70))
def test_the_best_are_those_that_sorting_all_would_show(scores: dict[str, float], limit: int) -> None:
    assert best(scores, limit) == sorted(scores.items(), key=lambda each: (-each[1], each[0]))[:limit]


@given(weights, weights)
def test_the_nearest_are_those_of_the_highest_shares(after: dict[str, float], before: dict[str, float]) -> None:
    row = row_of(after, before)
    shares = {product: row.share(product, 0.3) for product in [*after, *before]}
    nearest = dict(row.nearest(0.3).items())
    assert len(nearest) == min(HEAD, len(shares))
    assert sorted(nearest.values()) == pytest.approx(sorted(shares.values())[-HEAD:])
    assert nearest == pytest.approx({product: shares[product] for product in nearest})


@given(weights, weights)
def test_a_row_is_written_as_it_was_read_whatever_of_it_was_looked_at(
    after: dict[str, float], before: dict[str, float]
) -> None:
    row = row_of(after, before)
    row.nearest(0.3)
    stored = to_bytes(row)
    assert to_bytes(from_bytes(stored)) == stored
    read = from_bytes(stored)
    assert (read.before, to_bytes(read)) == (before, stored)
    assert (read.after, to_bytes(read)) == (after, stored)
    assert (read.after_total, read.before_total) == (row.after_total, row.before_total)
    assert read.nearest(0.3) == row.nearest(0.3)


def test_a_row_of_before_is_read_and_grows() -> None:
    row = from_bytes(A_ROW)
    assert list(row.nearest(0.3).items()) == [("b", 0.5 * 2.5 / 2.8), ("ż", 0.5 * 0.5 / 0.8)]
    row.follow("c", 1.0)
    again = from_bytes(to_bytes(row))
    assert (again.after, again.after_total) == ({"b": 2.5, "c": 1.0}, 3.5)
    assert (again.before, again.before_total) == ({"ż": 0.5}, 0.5)


def test_a_row_from_a_store_can_be_pickled_before_it_is_looked_at() -> None:
    row: Row = pickle.loads(pickle.dumps(from_bytes(A_ROW)))
    as_written_now = A_ROW[:1] + b"\x97" + A_ROW[2:] + b"\x00"  # one field more
    assert (row.after, row.before, to_bytes(row)) == ({"b": 2.5}, {"ż": 0.5}, as_written_now)
    assert pickle.loads(pickle.dumps(from_bytes(to_bytes(row, 7)))).holds == 7


def test_a_damaged_side_is_found_at_each_look() -> None:
    row = from_bytes(bytes((VERSION,)) + msgspec.msgpack.encode([1.0, {"b": "much"}, 0.5, {"a": 0.5}, 2.0, {}]))
    for _ in range(2):
        with pytest.raises(StoreDamaged, match="not as it was written"):
            row.share("b", 0.3)
    assert row.before == {"a": 0.5}
    assert not hasattr(row, "beside")
