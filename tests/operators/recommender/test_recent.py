"""A record that is seconds old and what came since, against a record that has it all."""

from __future__ import annotations

from operators.recommender.histories import history_of
from operators.recommender.recent import APART_MS, RecentEvents, RecentlyShown
from state import events as ev
from state.customer import Customer
from state.products import Interest
from state.recommendations import History, Shown


def viewed(product: str, at: int) -> ev.ProductViewed:
    return ev.ProductViewed(customer="anna", product_id=product, at=at)


def test_what_she_just_looked_at_is_the_last_thing_she_touched() -> None:
    recent = RecentEvents()
    record = Customer(id="anna", interests={"shoes": Interest(viewed_at=1), "hat": Interest(viewed_at=2)})
    assert recent.added_to(history_of(record), "anna") == history_of(record)
    recent.take(viewed("shoes", 3))
    history = recent.added_to(history_of(record), "anna")
    assert list(history.touched.items()) == [("hat", 2), ("shoes", 3)]
    assert recent.added_to(history_of(record), "berta") == history_of(record)


def test_what_she_does_takes_nothing_from_what_else_is_known_of_her() -> None:
    recent = RecentEvents()
    recent.take(viewed("hat", 2))
    history = History(market="PL", shown={"coat": Shown(1, 1)})
    assert recent.added_to(history, "anna") == History(market="PL", shown=history.shown, touched={"hat": 2})


def test_an_event_that_the_record_has_already_changes_nothing() -> None:
    recent = RecentEvents()
    recent.take(viewed("hat", 2))
    recent.take(ev.OrderCompleted(customer="anna", at=3, products=(ev.OrderLine(product_id="hat"),)))
    history = History(touched={"shoes": 1, "hat": 2}, bought={"hat": [3]})
    assert recent.added_to(history, "anna") == history


def test_a_product_is_in_the_cart_until_it_is_taken_out_or_bought() -> None:
    recent = RecentEvents()
    recent.take(ev.ProductAdded(customer="anna", product_id="hat", at=1))
    assert recent.added_to(History(), "anna").in_cart == {"hat"}
    recent.take(ev.ProductRemoved(customer="anna", product_id="hat", at=2))
    assert recent.added_to(History(in_cart=frozenset({"hat"})), "anna").in_cart == frozenset()
    recent.take(ev.ProductAdded(customer="anna", product_id="hat", at=3))
    recent.take(ev.OrderCompleted(customer="anna", at=4, products=(ev.OrderLine(product_id="hat"),)))
    history = recent.added_to(History(), "anna")
    assert history == History(touched={"hat": 3}, carted=frozenset({"hat"}), bought={"hat": [4]})


def test_each_thing_she_does_is_another_version_and_memory_is_bounded() -> None:
    recent = RecentEvents(customers_max=2)
    versions = [recent.version("anna")]
    for number in range(100):
        recent.take(viewed(f"p{number}", number))
        versions.append(recent.version("anna"))
    assert len(set(versions)) == 101
    assert len(recent.added_to(History(), "anna").touched) == 32
    for who in ("berta", "cyryl"):
        recent.take(ev.ProductViewed(customer=who, product_id="hat", at=1))
    assert recent.version("anna") == 0


NOW = 1_767_571_200_000


def test_an_answer_counts_with_what_messages_showed_and_once_in_a_while() -> None:
    shown = RecentlyShown()
    for at in (NOW, NOW + 1, NOW + APART_MS - 1, NOW + APART_MS, NOW):
        shown.note("anna", ["hat", "coat"], at)
    history = shown.added_to(History(market="PL", shown={"hat": Shown(1, NOW - 1)}), "anna")
    twice = NOW + APART_MS
    assert history == History(market="PL", shown={"hat": Shown(3, twice), "coat": Shown(2, twice)})
    assert shown.added_to(History(), "berta") == History()


def test_what_she_comes_to_begins_anew() -> None:
    shown = RecentlyShown()
    shown.note("anna", ["hat", "coat", "tie", "sock"], NOW)
    shown.take(viewed("hat", NOW + 1))
    shown.take(ev.ProductAdded(customer="anna", product_id="coat", at=NOW + 1))
    shown.take(ev.OrderCompleted(customer="anna", at=NOW + 1, products=(ev.OrderLine(product_id="tie"),)))
    shown.take(ev.ProductRemoved(customer="anna", product_id="sock", at=NOW + 1))
    shown.take(ev.ProductViewed(customer="berta", product_id="sock", at=NOW + 1))
    assert shown.added_to(History(), "anna").shown == {"sock": Shown(1, NOW)}


def test_what_her_record_says_that_she_came_to_begins_anew_too() -> None:
    shown = RecentlyShown()
    shown.note("anna", ["hat", "coat"], NOW)
    came = History(touched={"hat": NOW + 1})
    assert shown.added_to(came, "anna").shown == {"coat": Shown(1, NOW)}
    shown.note("anna", ["hat"], NOW + APART_MS)
    assert shown.added_to(came, "anna").shown == {"coat": Shown(1, NOW), "hat": Shown(1, NOW + APART_MS)}


def test_what_was_shown_to_too_many_is_forgotten_of_those_who_were_answered_longest_ago() -> None:
    shown = RecentlyShown(customers_max=2)
    for who in ("anna", "berta", "anna", "cyryl"):
        shown.note(who, map(str, range(100)), NOW)
    assert [len(shown.added_to(History(), who).shown) for who in ("anna", "berta", "cyryl")] == [64, 0, 64]
    assert "0" in shown.added_to(History(), "anna").shown, "what stood first"
