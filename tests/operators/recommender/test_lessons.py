"""What the events of a shop teach: which product follows which, and what products are called."""

from __future__ import annotations

from itertools import permutations

import msgspec
import pytest

from operators.recommender.choosing import best
from operators.recommender.lessons import Lessons
from operators.recommender.model import CoVisitation
from operators.recommender.popularity import Popularity
from operators.recommender.shelf import Shelf
from operators.recommender.visits import MEMORY, Visit, joined
from state import events as ev
from state.money import Money
from state.recommendations import ItemFacts
from state.store_errors import StoreDamaged

ANNA, BERTA = b"anna", b"berta"


class Drawer:
    """Products by id, as a store has them."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self.said: dict[str, ItemFacts] = {}

    def row(self, item: str) -> bytes | None:
        return self.rows.get(item)

    def facts(self, item: str) -> ItemFacts | None:
        return self.said.get(item)


def lessons(drawer: Drawer | None = None, rows_max: int = 1_000) -> tuple[Lessons, CoVisitation, Shelf]:
    shelf = Shelf(drawer or Drawer(), rows_max=rows_max, facts_max=rows_max)
    model = CoVisitation(shelf)
    return Lessons(model, shelf), model, shelf


def viewed(product: str, at: int = 1, **said: object) -> ev.ProductViewed:
    return ev.ProductViewed(product_id=product, at=at, **said)  # type: ignore[arg-type]


def test_what_is_known_of_all_products_outlasts_a_restart() -> None:
    teach, model, shelf = lessons()
    for number in range(50):
        teach.take(b"%d" % number, viewed("shoes", number))
        teach.take(b"%d" % number, viewed("laces", number))
    fresh = CoVisitation(shelf)
    fresh.restore(model.state_bytes())
    assert fresh.popular() == model.popular() != {}
    assert names(fresh, "shoes") == names(model, "shoes") == ["laces"]
    with pytest.raises(StoreDamaged):
        fresh.restore(model.state_bytes()[:-3])


def names(model: CoVisitation, *seen: str) -> list[str]:
    visit = Visit()
    for product in seen:
        visit.see(product, 1)
    return [item for item, _ in best(model.scores(model.guesses(visit, 1)), 5) if item not in seen]


def test_what_others_looked_at_next_is_recommended() -> None:
    teach, model, _ = lessons()
    for who in (ANNA, BERTA):
        teach.take(who, viewed("shoes"))
        teach.take(who, viewed("laces", 2))
    teach.take(ANNA, viewed("hat", 3))
    assert names(model, "shoes")[0] == "laces"


def test_visitors_do_not_mix() -> None:
    teach, _, shelf = lessons()
    teach.take(ANNA, viewed("shoes"))
    teach.take(BERTA, viewed("hat", 2))
    assert shelf.get("shoes") is None or not shelf.get("shoes").after  # type: ignore[union-attr]


def test_what_a_visitor_saw_before_she_said_who_she_is_leads_to_what_she_sees_then() -> None:
    teach, model, _ = lessons()
    teach.take(BERTA, viewed("hat"))
    teach.take(ANNA, viewed("shoes", 2))
    teach.join(ANNA, BERTA)
    teach.take(ANNA, viewed("laces", 3))
    assert set(names(model, "shoes", "hat")) == {"laces"}
    assert "laces" in names(model, "hat")


def test_two_visits_are_put_together_as_if_one_visitor_had_made_them() -> None:
    one, other, both = Visit(), Visit(), Visit()
    for at in range(50):
        mine = one if at < 25 else other
        for visit in (mine, both):
            visit.see(f"p{at * 7 % MEMORY}", at, 1.0 + at % 3)
    assert joined(other, one) == joined(one, other) == both


def test_the_products_of_an_order_lead_to_each_other() -> None:
    teach, model, _ = lessons()
    lines = (ev.OrderLine(product_id="shoes"), ev.OrderLine(product_id="laces"))
    teach.take(ANNA, ev.OrderCompleted(at=1, products=lines))
    assert "laces" in names(model, "shoes")
    assert "shoes" in names(model, "laces")


def test_what_was_learnt_before_a_restart_is_not_learnt_again_but_the_visit_goes_on() -> None:
    teach, model, shelf = lessons()
    teach.take(ANNA, viewed("shoes"), learn=False)
    assert teach.learnt == 0
    assert shelf.get("shoes") is None
    teach.take(ANNA, viewed("laces", 2))
    assert "laces" in names(model, "shoes")


def test_the_latest_word_on_a_product_counts_and_what_it_leaves_out_stays() -> None:
    teach, _, shelf = lessons()
    teach.take(ANNA, viewed("shoes", 10, name="Shoes", price=Money(9900, "PLN"), url="https://shop.example/shoes"))
    teach.take(ANNA, viewed("shoes", 20, name="Shoes", price=Money(7900, "PLN")))
    teach.take(ANNA, viewed("shoes", 15, name="Old shoes", price=Money(1, "PLN")))
    teach.take(b"", ev.ProductChanged(product_id="shoes", at=30, available=False))
    facts = shelf.facts("shoes")
    assert facts is not None
    assert (facts.name, facts.price, facts.url) == ("Shoes", Money(7900, "PLN"), "https://shop.example/shoes")
    assert facts.available is False


def test_what_the_catalogue_says_is_known_whether_it_is_read_before_a_later_click_or_after() -> None:
    told = changed(
        10, name="Shoes", available=False, markets=("PL",), url="https://shop.example/shoes", price=Money(9900, "PLN")
    )
    for events in permutations([told, viewed("shoes", 12, name="Red shoes"), viewed("shoes", 11)]):
        facts = known_after(*events)
        assert (facts.available, facts.markets, facts.url) == (False, ("PL",), "https://shop.example/shoes")
        assert (facts.name, facts.price) == ("Red shoes", Money(9900, "PLN"))


def test_a_word_that_is_said_again_outdoes_another_that_is_told_late() -> None:
    facts = known_after(
        changed(10, available=True, markets=("PL",), price=Money(5, "PLN"), name="Shoes"),
        changed(12, available=True, markets=("PL",), price=Money(5, "PLN"), name="Shoes"),
        changed(11, available=False, markets=(), price=Money(7, "PLN"), name="Hat"),
    )
    assert (facts.available, facts.markets, facts.price, facts.name) == (True, ("PL",), Money(5, "PLN"), "Shoes")


def test_a_product_that_is_sold_everywhere_again_stays_so() -> None:
    late, last = changed(11, markets=("PL",)), changed(12, markets=())
    assert known_after(late, last).markets == known_after(last, late).markets == ()


def test_a_click_that_says_nothing_does_not_outdo_the_catalogue() -> None:
    facts = known_after(changed(10, name="Shoe"), viewed("shoes", 12), changed(11, name="Shoes"))
    assert facts.name == "Shoes"


def test_facts_of_before_words_had_their_own_times_are_read_and_brought_up_to_date() -> None:
    written = msgspec.msgpack.encode(("Shoes", (9900, "PLN"), "", "https://shop.example/shoes", "", True, 20, ("PL",)))
    drawer = Drawer()
    drawer.said["shoes"] = msgspec.msgpack.decode(written, type=ItemFacts)
    teach, _, shelf = lessons(drawer)
    teach.take(b"", changed(15, available=False, name="Old shoes"))
    facts = shelf.facts("shoes")
    assert facts is not None
    assert (facts.name, facts.price, facts.markets) == ("Shoes", Money(9900, "PLN"), ("PL",))
    assert facts.available is False


def changed(at: int, **said: object) -> ev.ProductChanged:
    return ev.ProductChanged(product_id="shoes", at=at, **said)  # type: ignore[arg-type]


def known_after(*events: ev.Event) -> ItemFacts:
    """What is known of the shoes once these are read, in this order."""
    teach, _, shelf = lessons()
    for event in events:
        teach.take(ANNA, event)
    facts = shelf.facts("shoes")
    assert facts is not None
    return facts


def test_what_changed_is_kept_until_it_is_saved_and_then_room_is_made() -> None:
    drawer = Drawer()
    teach, model, shelf = lessons(drawer, rows_max=2)
    for number in range(10):
        teach.take(ANNA, viewed(f"p{number}", number, name=f"Product {number}"))
    rows, facts = shelf.to_save()
    assert len(facts) == 10
    drawer.rows |= rows
    drawer.said |= facts
    shelf.saved()
    assert shelf.changed == 0
    before = names(model, "p3")
    fresh = CoVisitation(Shelf(drawer))
    fresh.restore(model.state_bytes())
    assert names(fresh, "p3") == before != []
    assert shelf.facts("p0") == ItemFacts(name="Product 0")


def test_what_was_once_counted_by_the_hour_is_not_taken_for_comings_again() -> None:
    _, model, _ = lessons()
    model._state.again = Popularity(3_600_000)
    model._state.again.add("shoes", 10)
    fresh = CoVisitation()
    fresh.restore(model.state_bytes())
    assert fresh._state.again == CoVisitation()._state.again
