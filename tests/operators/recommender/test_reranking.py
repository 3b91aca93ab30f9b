"""Candidates in another order: what is learnt from choices, who may rank, and that it outlives a restart."""

from __future__ import annotations

import random

import msgspec
import pytest

from operators.recommender.features import Features, measured, whole
from operators.recommender.model import CoVisitation
from operators.recommender.ranking import FORMAT, Standing, Weights, encode, read_weights
from operators.recommender.reranking import Reranking
from operators.recommender.visits import Visit


def shown(dice: random.Random, count: int = 8) -> list[Features]:
    """Candidates as they come, about half of which are cheap."""
    return [{"place": -float(place), "cheap": float(dice.random() < 0.5)} for place in range(count)]


def cheapest(candidates: list[Features]) -> int:
    return max(range(len(candidates)), key=lambda place: (candidates[place]["cheap"], -place))


def taught(choices: int, *, by_chance: bool = False, begin: Standing | None = None) -> Reranking:
    dice, reranking = random.Random(7), Reranking(begin)
    for _ in range(choices):
        candidates = shown(dice)
        chosen = min(int(dice.expovariate(0.5)), 7) if by_chance else cheapest(candidates)
        reranking.learn(candidates, chosen)
    return reranking


def test_before_anything_was_chosen_candidates_stay_as_they_come() -> None:
    assert Reranking().order(shown(random.Random(1))) == list(range(8))


def test_what_people_choose_moves_up_once_there_is_evidence() -> None:
    reranking = taught(3_000)
    assert reranking.champion.number >= 1
    dice = random.Random(99)
    firsts = [(candidates, reranking.order(candidates)[0]) for candidates in (shown(dice) for _ in range(200))]
    assert sum(first == cheapest(candidates) for candidates, first in firsts) >= 190


def test_where_places_are_all_that_matters_nobody_takes_the_champions_place() -> None:
    reranking = taught(3_000, by_chance=True)
    assert reranking.champion == Weights()
    assert all(each.choices == 3_000 for each in reranking.challengers)


def test_a_contest_is_taken_up_again_where_it_was() -> None:
    before = taught(1_700)
    stored = msgspec.msgpack.encode(before.standing())
    again = Reranking(msgspec.msgpack.decode(stored, type=Standing))
    assert again.champion == before.champion
    candidates = shown(random.Random(3))
    for one, other in zip(before.challengers, again.challengers, strict=True):
        assert one.weights() == other.weights()
        assert one.weights().order(candidates) == other.weights().order(candidates)
    assert again.standing() == before.standing()


def test_a_candidate_is_described_by_what_it_is_to_her_and_to_others() -> None:
    model, now = CoVisitation(), 1_767_571_200_000
    for n in range(5):
        visit = Visit()
        for minute, product in enumerate(("shoes", "socks", "laces", "socks")):
            model.learn(visit, product, now + n * 600_000 + minute * 60_000)
    at, visit = now + 3_000_000, Visit()
    visit.see("shoes", at - 20_000, 1.0)
    visit.see("socks", at - 10_000, 3.0)
    ranked = [("laces", 0.5), ("socks", 0.25), ("hats", 0.1)]
    laces, socks, hats = measured(model, visit, ranked, at)
    assert {"after", "before"} <= laces.keys()
    assert (socks["back"], socks["times"], socks["strength"]) == (0.0, 1.0, 3.0)
    assert not {"after", "before", "back", "times", "strength"} & hats.keys()
    assert laces["score"] > socks["score"] > hats["score"]
    assert socks["again"] > laces["again"]
    assert [each["above"] for each in (laces, socks, hats)] == [0.0, 0.0, 1.0]
    assert {(each["idle"], each["length"]) for each in (laces, socks, hats)} == {(10.0, 2.0)}
    assert measured(model, visit, [], at) == []


def test_what_is_weighed_is_which_bins_a_candidate_is_in() -> None:
    found = whole({"place": -0.69, "score": -0.3, "level": -2.5, "back": 1.0, "idle": 42.0, "length": 2.0})
    assert (found["place"], found["score"]) == (-0.69, -0.3)
    assert {"back 1, idle 3", "back 1, length 1", "score 8, back 1", "level 5, idle 3", "after -"} <= found.keys()
    assert all(value == 1.0 for name, value in found.items() if name not in {"place", "score", "sells"})
    assert whole({"place": -1.0})["score"] == 0.0  # whatever was logged


def test_a_version_that_weighed_other_things_is_refused() -> None:
    with pytest.raises(ValueError, match="older version"):
        read_weights(encode(Weights(format=FORMAT - 1, number=3, weights={"after 0": 1.0})))
