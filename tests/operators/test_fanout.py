"""News of the catalogue reach all who wait, once, in small bites, and the same whoever comes by meanwhile."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from flows.back_in_stock import back_in_stock
from flows.price_drop import price_drop
from operators.fanout import BITE_MAX, JOBS_MAX, Pace
from operators.flow import Flow, Template, hours, on, send, wait
from state.decode import Decoder
from state.events import Event, ProductViewed
from state.ids import Ids
from state.instants import format_instant
from tests.operators.shards import DAY, HOUR, MINUTE, START, Desk, agrees, desk, identify, track

FLOWS = (back_in_stock, price_drop)
Json = dict[str, Any]


def changed(at: int, product: str = "p1", **properties: Any) -> bytes:
    body = {"product_id": product, **properties}
    wire = {"type": "track", "event": "Product Changed", "messageId": f"change-{at}-{product}"}
    return json.dumps({**wire, "timestamp": format_instant(at), "properties": body}).encode()


def back(at: int, product: str = "p1") -> bytes:
    return changed(at, product, availability="in stock")


def viewed(customer: str, at: int, product: str = "p1") -> Json:
    return track(customer, at, "Product Viewed", product_id=product, price=100)


def waiting(*customers: str, product: str = "p1") -> list[Json]:
    """Each agreed to hear from the shop and saw the product twice."""
    return [
        event
        for customer in customers
        for event in (
            identify(customer),
            agrees(customer),
            viewed(customer, START, product),
            viewed(customer, START + 1, product),
        )
    ]


@contextmanager
def shop(folder: Path, *more: Flow[Any], publishes: bool = True) -> Iterator[Desk]:
    with desk(folder, *FLOWS, *more, clock="replay", wall=START + 90 * DAY, publishes=publishes) as opened:
        yield opened


def catalogue(at: Desk, *raw: bytes) -> None:
    at.records([(None, each) for each in raw], "catalogue")


def told(at: Desk, customers: Sequence[str]) -> list[tuple[str, str, str]]:
    return [(each.customer, each.message, each.outcome) for name in customers for each in at.decided(name)]


def work_off(at: Desk) -> int:
    """How many bites it takes until nobody has anything to hear."""
    bites = 0
    while at.shard.fanout.count:
        at.wall.ms += 1_000
        at.shard.take([])
        bites += 1
    return bites


CROWD = [f"c{n}" for n in range(25)]


def test_news_are_handed_on_in_small_bites_and_then_to_all(tmp_path: Path) -> None:
    with shop(tmp_path) as desk_:
        desk_.events(*waiting(*CROWD))
        catalogue(desk_, back(START + HOUR))
        desk_.clock_at(START + 2 * HOUR)
        assert told(desk_, CROWD) == [], "nobody heard with the batch: what was decided by it is told first"
        desk_.clock_at(START + 2 * HOUR + 1)
        assert 0 < len(told(desk_, CROWD)) <= BITE_MAX
        assert work_off(desk_) >= len(CROWD) // BITE_MAX - 1
        desk_.clock_at(START + 3 * HOUR)
        assert told(desk_, CROWD) == [(name, "back_in_stock", "send") for name in CROWD]


def test_a_worker_that_is_killed_between_two_bites_goes_on_where_it_was(tmp_path: Path) -> None:
    with shop(tmp_path) as desk_:
        desk_.events(*waiting(*CROWD))
        catalogue(desk_, back(START + HOUR))
    for _ in range(len(CROWD)):
        with shop(tmp_path) as desk_:
            if not desk_.shard.fanout.count:
                break
            desk_.shard.take([])
    with shop(tmp_path) as desk_:
        assert not desk_.shard.fanout.count
        desk_.clock_at(START + 3 * HOUR)
        assert told(desk_, CROWD) == [(name, "back_in_stock", "send") for name in CROWD]


def test_the_same_news_told_twice_are_heard_once(tmp_path: Path) -> None:
    with shop(tmp_path) as desk_:
        desk_.events(*waiting("anna"))
        catalogue(desk_, back(START + HOUR), back(START + HOUR))
        work_off(desk_)
        catalogue(desk_, back(START + HOUR))
        assert desk_.shard.fanout.count == 0
        desk_.clock_at(START + DAY)
        assert told(desk_, ["anna"]) == [("anna", "back_in_stock", "send")]


def test_what_nobody_waits_for_is_no_work(tmp_path: Path) -> None:
    with shop(tmp_path) as desk_:
        desk_.events(identify("anna"), viewed("anna", START))
        catalogue(desk_, back(START + HOUR))
        assert desk_.shard.fanout.count == 0


def test_she_hears_before_anything_later_touches_her(tmp_path: Path) -> None:
    """Clara's second view comes after the news, Anna buys after them, before either of them has heard."""
    with shop(tmp_path) as desk_:
        desk_.events(*waiting("anna", *CROWD), identify("clara"), agrees("clara"), viewed("clara", START))
        desk_.shard.around.pace.allow(desk_.wall.ms)
        catalogue(desk_, back(START + HOUR))
        order = track("anna", START + HOUR + 1, "Order Completed", products=[{"product_id": "p1"}])
        desk_.events(viewed("clara", START + HOUR + 1), order)
        work_off(desk_)
        desk_.clock_at(START + DAY)
        assert told(desk_, ["clara"]) == []
        assert told(desk_, ["anna"]) == []
        assert len(told(desk_, CROWD)) == len(CROWD)


def nothing(_: Event, __: Any) -> Json:
    return {}


def test_who_is_held_back_behind_a_wait_hears_in_order_of_time(tmp_path: Path) -> None:
    """Her views are later than a wait of hers that the clock has not reached."""
    early = Flow("early", enter=on(ProductViewed), steps=[wait("w", hours(1)), send(Template("early", nothing))])
    with shop(tmp_path, early) as desk_:
        desk_.events(identify("anna"), agrees("anna"), viewed("anna", START, "p9"))
        desk_.events(viewed("anna", START + 2 * HOUR), viewed("anna", START + 2 * HOUR + 1))
        catalogue(desk_, back(START + 3 * HOUR))
        work_off(desk_)
        assert told(desk_, ["anna"]) == []
        desk_.clock_at(START + DAY)
        assert [each[1] for each in told(desk_, ["anna"])] == ["early", "early", "back_in_stock"]


def test_news_are_not_kept_without_bound(tmp_path: Path) -> None:
    products = [f"p{n}" for n in range(JOBS_MAX + 50)]
    with shop(tmp_path) as desk_:
        customers = [f"c{n}" for n in range(0, len(products), 10)]
        for n, product in enumerate(products):
            desk_.events(*(viewed(customers[n // 10], START + 2 * n + view, product) for view in (0, 1)))
        catalogue(desk_, *(changed(START + HOUR, product, price=50) for product in products))
        assert desk_.shard.fanout.count <= JOBS_MAX
        work_off(desk_)
        desk_.clock_at(START + DAY)
        assert len(told(desk_, customers)) == len(products)


def test_who_has_not_looked_for_a_month_is_let_go_of(tmp_path: Path) -> None:
    with shop(tmp_path) as desk_:
        desk_.events(*waiting("anna"))
        item = Ids(b"secret").item("p1")
        assert len(desk_.shard.store.waiting(item, b"", 10)) == 1
        catalogue(desk_, back(START + 32 * DAY))
        work_off(desk_)
        assert desk_.shard.store.waiting(item, b"", 10) == []


def test_a_process_hands_news_to_so_many_a_second() -> None:
    pace, heard = Pace(600, 4), 0
    for ms in range(1_000_000, 1_010_000, 7):
        heard += pace.allow(ms)
    assert 5_500 <= heard <= 6_010


def test_one_shard_counts_a_word_of_the_catalogue_and_sets_a_bad_one_aside() -> None:
    bad = json.loads(changed(START))
    bad["properties"]["price"] = "much"
    rejected = Decoder("PLN").decode(
        json.dumps(bad).encode(), key=None, topic="catalogue", partition=0, offset=0, now=START
    )
    assert rejected is not None
    with TemporaryDirectory() as folder, shop(Path(folder)) as desk_:
        catalogue(desk_, json.dumps(bad).encode())
        assert len(desk_.outbox("dead-letters")) == 1


customers = st.sampled_from(["anna", "berta", "clara", "dora", "ewa"])
products = st.sampled_from(["p1", "p1", "p2"])
happenings = st.one_of(
    st.tuples(st.just("viewed"), customers, products),
    st.tuples(st.just("viewed"), customers, products),
    st.tuples(st.just("bought"), customers, products),
    st.tuples(st.just("back"), st.just(""), products),
    st.tuples(st.just("cheaper"), st.just(""), products),
)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, Json | bytes]]:
    found: list[tuple[str, Json | bytes]] = []
    price = 1_000.0
    at = START + MINUTE
    for kind, customer, product in draw(st.lists(happenings, min_size=3, max_size=40)):
        at += draw(st.sampled_from([1, 1, MINUTE, 5 * MINUTE, HOUR]))
        match kind:
            case "viewed":
                found.append((customer, viewed(customer, at, product)))
            case "bought":
                line = [{"product_id": product}]
                found.append((customer, track(customer, at, "Order Completed", products=line)))
            case "back":
                found.append(("", changed(at, product, availability="out of stock")))
                found.append(("", back(at + 1, product)))
                at += 1
            case _:
                price *= 0.9
                found.append(("", changed(at, product, price=round(price, 2))))
    return found


@settings(max_examples=settings().max_examples // 4)
@given(history=histories(), chance=st.randoms(use_true_random=False))
def test_however_news_are_worked_off_the_same_is_decided(
    history: list[tuple[str, Json | bytes]], chance: Random
) -> None:
    """At once after each record, or in bites as the wall clock allows, with kills in between."""
    people = ["anna", "berta", "clara", "dora", "ewa"]
    known = [event for name in people for event in (identify(name), agrees(name))]
    with TemporaryDirectory() as folder, shop(Path(folder), publishes=False) as desk_:
        desk_.events(*known)
        for _, happened in history:
            take(desk_, happened)
        desk_.clock_at(START + 60 * DAY)
        at_once = decisions(desk_, people)
    with TemporaryDirectory() as folder:
        left = list(history)
        while left:
            with shop(Path(folder)) as desk_:
                if len(left) == len(history):
                    desk_.events(*known)
                desk_.shard.around.pace.allow(desk_.wall.ms)
                for _ in range(min(len(left), chance.randint(1, 15))):
                    desk_.wall.ms += chance.choice([0, 0, 1, 2, 5])
                    take(desk_, left.pop(0)[1])
        with shop(Path(folder)) as desk_:
            desk_.clock_at(START + 20 * DAY)
            work_off(desk_)
            desk_.clock_at(START + 60 * DAY)
            assert decisions(desk_, people) == at_once


def take(at: Desk, happened: Json | bytes) -> None:
    if isinstance(happened, bytes):
        catalogue(at, happened)
    else:
        at.events(happened)


def decisions(at: Desk, people: list[str]) -> list[tuple[str, str, str, str]]:
    return [(each.decision_id, each.at, each.outcome, each.reason) for name in people for each in at.decided(name)]
