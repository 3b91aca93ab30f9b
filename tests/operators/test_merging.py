"""Two records of one customer become one: the rule for each kind of data."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.messages import cart_content
from operators import merging
from operators.flow import Flow, Template, hours, on, send, wait
from operators.program import Program
from operators.windows import count, describe, distinct, last, min_of, session, sliding, sum_of, tumbling
from state import customer as customers
from state.carts import Cart, CartChanged, CartEvent, CartOrdered, Line
from state.customer import Aside, Assigned, Consent, Customer, Sent, Traits
from state.events import ProductViewed
from state.orders import Order
from state.passages import Passage, Pending
from state.products import Interest
from state.recommendations import Shown
from tests.operators.shards import HOUR, START
from tests.operators.test_windows import after, product, quantity, viewed

NOTHING = Program([])
# What is of the record itself, and what is merged beside the rules: by windows, passages and carts.
OF_THE_RECORD = {
    *("id", "held", "event_timer", "wall_timer", "known", "joined", "alias", "changes_heard", "unindexed"),
    *("woken", "arrivals"),
}


def merged(known: Customer, other: Customer, program: Program = NOTHING) -> Customer:
    known, other = (customers.decode(customers.encode(each)) for each in (known, other))
    merging.merge(known, other, program)
    return known


def full(name: str, at: int) -> Customer:
    """Something in every field."""
    return Customer(
        id=name,
        first_seen=at,
        last_seen=at,
        events=1,
        recent=at.to_bytes(8, "big"),
        traits=Traits(email=f"{name}@example.com", at=at, locale="pl", locale_at=at, time_zone="UTC", time_zone_at=at),
        consents={f"{name}/x": Consent(True, at, "m", 1)},
        suppressed={name: "bounce"},
        carts={name: Cart(name, at, "m", [Line("p1", 1, at)])},
        orders=1,
        first_order_at=at,
        last_order_at=at,
        unmatched_order_at=1,
        windows={},
        passages=[Passage(flow=name, subject="", id=name, wait="w", until=at, entered_at=at, event=b"")],
        pending=[_pending(name, name, at)],
        sent=[Sent(at, name)],
        stage=name,
        devices={name: at},
        last_added_at=at,
        interests={name: Interest(viewed_at=at)},
        told={name: at},
        arms={name: Assigned("arm", 0.5, at)},
        orders_by_id={name: Order(at)},
        bought={name: [at]},
        aside={name: Aside()},
        shown={f"shown to {name}": Shown(1, at)},
    )


def _pending(message_id: str, passage: str, at: int, *, awaiting: bool = False) -> Pending:
    return Pending(
        message_id=message_id,
        flow="f",
        subject="",
        passage=passage,
        entered_at=at,
        step="s",
        wait="w",
        template="t",
        event=b"",
        at=at,
        decisions=1,
        due=at,
        awaiting=awaiting,
    )


def test_nothing_that_is_known_of_her_before_is_lost() -> None:
    one, other = full("anna", START), full("a-1", START - 5)
    found = merged(one, other)
    kept = (
        "consents",
        "suppressed",
        "carts",
        "devices",
        "interests",
        "told",
        "arms",
        "orders_by_id",
        "bought",
        "shown",
    )
    for field in (*kept, "shown"):
        assert set(getattr(found, field)) >= set(getattr(one, field)) | set(getattr(other, field)), field
    for field in ("passages", "pending", "sent"):
        assert len(getattr(found, field)) == 2, field
    assert (found.first_seen, found.last_seen, found.events, found.orders) == (START - 5, START, 2, 2)
    assert found.has_seen((START - 5).to_bytes(8, "big"))
    assert found.has_seen(START.to_bytes(8, "big"))


def test_every_field_of_a_customer_has_a_rule() -> None:
    """Who adds a field says here what stands in it, and in `operators.merging` what becomes of it."""
    silent = []
    for field in Customer.__struct_fields__:
        if field in OF_THE_RECORD | {"windows", "unmatched_order_at", "early_results"}:
            continue
        blank, other = Customer(id="anna"), full("a-1", START)
        if getattr(merged(blank, other), field) == getattr(blank, field):
            silent.append(field)
    assert silent == []


@pytest.mark.parametrize("anonymous_is_later", [True, False])
def test_what_was_said_last_counts_and_what_it_left_open_is_taken_from_before(anonymous_is_later: bool) -> None:
    early = Customer(id="anna", traits=Traits(email="old@example.com", phone="1", at=START))
    late = Customer(id="anna", traits=Traits(email="new@example.com", at=START + 1))
    one, other = (early, late) if anonymous_is_later else (late, early)
    found = merged(one, other).traits
    assert (found.email, found.phone, found.at) == ("new@example.com", "1", START + 1)


def test_the_last_word_on_consent_counts_also_a_wider_one() -> None:
    known = Customer(id="anna", consents={"email/marketing": Consent(True, START, "yes", 1)})
    other = Customer(id="a", consents={"*/*": Consent(False, START + 1, "no", 0)})
    word = merged(known, other).consents["email/marketing"]
    assert (word.granted, word.id, word.grants) == (False, "no", 1)
    earlier = Customer(id="a", consents={"*/*": Consent(False, START - 1, "no", 0)})
    assert merged(known, earlier).consents["email/marketing"].granted


def test_of_two_words_of_one_moment_no_counts() -> None:
    yes = Customer(id="anna", consents={"email/marketing": Consent(True, START, "yes", 1)})
    no = Customer(id="a", consents={"email/marketing": Consent(False, START, "no", 1)})
    assert not merged(yes, no).consents["email/marketing"].granted
    assert not merged(no, yes).consents["email/marketing"].granted


def test_a_cart_that_both_have_is_put_together_without_what_was_bought() -> None:
    mine = Cart("k", START + 2, "m2", [Line("p1", 1, START + 2), Line("p2", 1, START + 1)], ordered_at=START)
    hers = Cart("k", START + 1, "m1", [Line("p1", 2, START + 1), Line("p3", 5, START - 1)])
    cart = merged(Customer(id="anna", carts={"k": mine}), Customer(id="a", carts={"k": hers})).carts["k"]
    assert {(line.product_id, line.quantity) for line in cart.lines} == {("p1", 3), ("p2", 1)}
    assert (cart.ordered_at, cart.changed_at, cart.changed_by) == (START, START + 2, "m2")


def test_an_order_that_found_no_cart_closes_the_one_that_it_was_about() -> None:
    known = Customer(id="anna", orders=1, unmatched_order_at=START + 5)
    other = Customer(id="a", carts={"": Cart("", START, "m1", [Line("p1", 1, START)])})
    known, other = (customers.decode(customers.encode(each)) for each in (known, other))
    [fact] = merging.merge(known, other, NOTHING)
    assert isinstance(fact, CartOrdered)
    assert (fact.cart_id, fact.at) == ("", START + 5)
    assert (known.carts[""].lines, known.carts[""].ordered_at, known.unmatched_order_at) == ([], START + 5, 0)


def _passage(wait: str, entered_at: int) -> Passage:
    return Passage(
        flow="f",
        subject="",
        id=f"{wait}-{entered_at}",
        wait=wait,
        until=entered_at + HOUR,
        entered_at=entered_at,
        event=b"",
    )


def _flow(*, restart: bool) -> Flow[CartChanged]:
    word = Template("word", cart_content)
    return Flow(
        "f",
        enter=on(CartChanged),
        per=CartEvent,
        restart=restart,
        steps=[wait("first", hours(1)), send(word), wait("second", hours(1)), send(word)],
    )


@pytest.mark.parametrize("swapped", [True, False])
def test_of_two_passages_the_one_further_on_stays(swapped: bool) -> None:
    ahead, behind = _passage("second", START), _passage("first", START + HOUR)
    one, other = (ahead, behind) if swapped else (behind, ahead)
    program = Program([_flow(restart=False)])
    left = _pending("late", other.id if one is ahead else one.id, START)
    under_way = _pending("under_way", behind.id, START, awaiting=True)
    known = Customer(id="anna", passages=[one], pending=[left])
    found = merged(known, Customer(id="a", passages=[other], pending=[under_way]), program)
    assert found.passages == [ahead]
    assert [(each.message_id, each.left) for each in found.pending] == [("under_way", True)]


def test_where_each_entry_starts_a_flow_over_the_last_one_stays() -> None:
    ahead, behind = _passage("second", START), _passage("first", START + HOUR)
    known, other = Customer(id="anna", passages=[ahead]), Customer(id="a", passages=[behind])
    assert merged(known, other, Program([_flow(restart=True)])).passages == [behind]


def test_who_has_an_arm_stays_in_it() -> None:
    known = Customer(id="anna", arms={"e": Assigned("a", 0.5, START)})
    other = Customer(id="x", arms={"e": Assigned("b", 0.5, START), "f": Assigned("c", 0.5, START)})
    assert {name: each.arm for name, each in merged(known, other).arms.items()} == {"e": "a", "f": "c"}


MOMENTS = st.lists(
    st.tuples(
        st.integers(0, 12 * HOUR),
        st.sampled_from("abcdefgh"),
        st.one_of(st.none(), st.integers(0, 9)),
        st.booleans(),
    ),
    min_size=1,
    max_size=40,
)


@given(MOMENTS, st.integers(0, 8 * HOUR))
def test_windows_of_two_say_what_those_of_one_would(
    moments: list[tuple[int, str, int | None, bool]], later: int
) -> None:
    windows = [
        sliding("views", on=ProductViewed, over=hours(5), keep=count()),
        sliding("pieces", on=ProductViewed, over=hours(5), each=hours(1), keep=sum_of(quantity)),
        sliding("seen", on=ProductViewed, over=hours(5), keep=distinct(product)),
        sliding("latest", on=ProductViewed, over=hours(5), keep=last(5, product)),
        tumbling("fewest", on=ProductViewed, every=hours(3), keep=min_of(quantity)),
        session("visit", on=ProductViewed, gap=hours(1), keep=last(5, product)),
    ]
    in_order = sorted(moments, key=lambda each: each[0])
    whole = after([viewed(*each[:3]) for each in in_order], *windows)
    one, other = (
        after([viewed(*each[:3]) for each in in_order if each[3] is side], *windows) for side in (True, False)
    )
    now = START + in_order[-1][0] + later
    found = merged(one, other, Program([], windows))
    assert describe(windows, found, now) == describe(windows, whole, now)


@given(st.lists(st.integers(0, 2**64 - 1), max_size=300, unique=True), st.randoms(use_true_random=False))
def test_the_newest_event_ids_of_both_are_remembered(marks: list[int], chance: Random) -> None:
    one, other = Customer(id="anna"), Customer(id="a")
    for mark in marks:
        chance.choice((one, other)).remember(mark.to_bytes(8, "big"))
    newest = [each.recent[-8 * 100 :] for each in (one, other)]
    found = merged(one, other)
    assert len(found.recent) <= 8 * 256
    for recent in newest:
        assert all(found.has_seen(recent[at : at + 8]) for at in range(0, len(recent), 8))


def test_what_a_shadow_would_have_sent_to_either_id_counts_together() -> None:
    known, other = Customer(id="k"), Customer(id="a")
    known.aside = {
        "s": Aside([Sent(5, "m1")], {"hello": 5, "bye": 1}, {"x": Assigned("mine", 0.5, 1)}),
        "mine": Aside(told={"hello": 1}),
    }
    other.aside = {
        "s": Aside(
            [Sent(3, "m0")], {"hello": 3, "bye": 4}, {"x": Assigned("hers", 0.5, 1), "y": Assigned("b", 1.0, 2)}
        ),
        "hers": Aside(told={"hello": 2}),
    }
    both = merged(known, other).aside
    assert [each.message_id for each in both["s"].sent] == ["m0", "m1"]
    assert both["s"].told == {"hello": 5, "bye": 4}
    assert {name: arm.arm for name, arm in both["s"].arms.items()} == {"x": "mine", "y": "b"}
    assert (both["mine"], both["hers"]) == (known.aside["mine"], other.aside["hers"])
