"""A record that is seconds old and what came since, against a record that has it all."""

from __future__ import annotations

from operators.recommender.histories import history_of
from operators.recommender.recent import RecentEvents
from state import events as ev
from state.customer import Customer
from state.products import Interest
from state.recommendations import History


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
