"""Shards that were put back read again, with what others said in between: they decide what they decided."""

from __future__ import annotations

from flows.messages import cart_content
from operators.breaker import NeverStops
from operators.effects import Effects
from operators.engine import Engine
from operators.flow import Flow, Template, hours, on, send, wait
from operators.guards import Rules
from operators.program import Program
from state import customer as customers
from state.aliases import Joined, Link
from state.carts import CartChanged, CartEmptied, CartEvent, CartOrdered
from state.customer import Customer
from state.decisions import Cause
from state.messages import Delivery
from state.passages import WALL_CLOCK, Pending
from state.words import AnyWord, Merge, is_to_anonymous
from tests.operators.shards import DAY, HOUR, MINUTE, START
from tests.operators.street import IDS, Street, identify, track

FLOW = Flow(
    "reminders",
    enter=on(CartChanged),
    per=CartEvent,
    restart=True,
    leave=[on(CartOrdered), on(CartEmptied)],
    steps=[wait("a_while", hours(1)), send(Template("reminder", cart_content))],
)
CLAIM = {**identify(), "messageId": "claim"}
ADD = {**track("Product Added", product_id="p1", cart_id="k1", price=20), "messageId": "add"}
ORDER = {**track("Order Completed", order_id="o1", cart_id="k1"), "messageId": "order"}


def played(*log: AnyWord, adds_first: bool = False, orders: bool = False) -> Street:
    """She fills a cart a minute after she said who she is, as who she was; of the two, one is read first.

    What stands in the log already is read before all else.
    """
    street = Street([FLOW])
    street.who("a")  # is woken first
    street.reads(*log)
    if not adds_first:
        street.comes(START, CLAIM, 1, userId="anna", anonymousId="a")
    street.comes(START + MINUTE, ADD, 2, anonymousId="a")
    if adds_first:
        street.comes(START, CLAIM, 1, userId="anna", anonymousId="a")
    if orders:
        street.comes(START + 2 * MINUTE, ORDER, 3, anonymousId="a")
    street.clock_at(START + DAY)
    return street


def to_anna(street: Street) -> list[AnyWord]:
    return [word for word in street.words if not is_to_anonymous(word)]


def told(street: Street) -> list[tuple[str, str]]:
    return [(decision.decision_id, decision.customer) for decision in street.decided]


def test_a_message_has_one_id_whether_its_event_or_the_claim_was_read_first() -> None:
    first, again = played(adds_first=True), played()
    assert len(told(first)) == 1
    assert told(again) == told(first)


def test_what_is_forwarded_before_the_merge_waits_for_the_claim() -> None:
    first = played(adds_first=True, orders=True)
    assert [type(word).__name__ for word in to_anna(first)][:2] == ["Forward", "Merge"]
    assert told(first) == []
    assert told(played(*to_anna(first), adds_first=True, orders=True)) == []


def test_what_was_merged_and_is_forwarded_by_a_shard_put_back_counts_once() -> None:
    first = played(adds_first=True)
    again = played(*to_anna(first))
    assert [line.quantity for line in first.who("anna").carts["k1"].lines] == [1]
    assert [line.quantity for line in again.who("anna").carts["k1"].lines] == [1]
    assert told(again) == told(first)


def test_what_is_forwarded_and_then_merged_by_a_shard_put_back_counts_once() -> None:
    first = played()
    again = played(*to_anna(first), adds_first=True)
    assert [line.quantity for line in again.who("anna").carts["k1"].lines] == [1]
    assert told(again) == told(first)


def test_what_is_forwarded_before_a_merge_that_was_never_written_hides_nothing_from_before_it() -> None:
    forwarded = to_anna(played(adds_first=True, orders=True))[:1]
    again = played(*forwarded, orders=True)
    assert again.who("anna").events == 3
    assert told(again) == []


def test_a_merge_tells_how_far_was_forwarded_before_it() -> None:
    """Also where so much was, that its ids are not remembered any more."""
    first = played(adds_first=True, orders=True)
    first.who("anna").recent = b""
    first.reads(*to_anna(first))
    assert first.who("anna").events == 3


def test_a_merge_that_comes_again_tells_the_result_of_an_attempt_that_was_not_repeated() -> None:
    """The shard put back read it, and became another before the retry was due."""
    result = Delivery(message_id="m", at="2026-01-05T12:00:00Z", attempt=2, provider="p", result="refused")
    before = Customer(id="a", pending=[_pending(attempt=1, awaiting=False)], early_results=[result])
    word = Merge(known="anna", anonymous="a", claim="c", at=START, state=customers.encode(before), digest=2)
    link = Link(anonymous="a", claim="c", at=START, merged=True, brought=["m"], digest=1)
    anna = Customer(id="anna", joined=Joined(links=[link]), pending=[_pending(attempt=2, awaiting=True)])
    engine = Engine(Program([FLOW]), Rules(), IDS, breaker=NeverStops(), links="log")
    found = engine.meeting.take(anna, word, Effects())
    assert found == [result]
    engine.on_delivery(anna, result, START + HOUR, Effects(), Cause("internal", 0, 0))
    assert anna.pending == []


def _pending(*, attempt: int, awaiting: bool) -> Pending:
    return Pending(
        message_id="m",
        flow="reminders",
        subject="k1",
        passage="p",
        entered_at=START,
        step="s",
        wait="a_while",
        template="reminder",
        event=b"",
        at=START,
        decisions=attempt,
        due=START + DAY,
        clock=WALL_CLOCK,
        awaiting=awaiting,
        attempt=attempt,
    )
