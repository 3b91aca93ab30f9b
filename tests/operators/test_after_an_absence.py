"""What a shard makes of messages that waited while it was away, or that it had sent before it was put back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from operators.flow import Flow, Template, on, send
from operators.guards import Rules
from operators.sending import ATTEMPTS_MAX
from state import customer as customers
from state.customer import Customer
from state.events import ProductViewed
from state.ids import Ids
from state.instants import parse_instant
from state.messages import Delivery
from tests.operators.shards import DAY, MINUTE, START, Desk, agrees, desk, identify, message, track
from tests.operators.tries import VIEWED, WHO, at_once, made, nothing, told

EVENING, MORNING = parse_instant("2026-01-05T22:00:00Z"), parse_instant("2026-01-06T08:00:00Z")
AT_NIGHT = Rules(quiet_from=21 * 60, quiet_to=8 * 60)


def anna(shop: Desk) -> Customer:
    return customers.decode(shop.shard.store.customer(Ids(b"secret").customer(b"anna")) or b"")


def accepted(message_id: str, attempt: int = 1) -> Delivery:
    return Delivery(
        message_id=message_id, at="2026-01-05T12:00:01.000Z", attempt=attempt, provider="smtp", result="accepted"
    )


def looks(shop: Desk, at: int) -> None:
    """She agrees to hear from the shop, and looks at a product."""
    viewed = track("anna", at, "Product Viewed", product_id="p1")
    shop.events(identify("anna", at - 2), agrees("anna", at - 1), viewed)


def test_nothing_is_tried_again_before_what_she_did_meanwhile_is_read(tmp_path: Path) -> None:
    with desk(tmp_path, at_once) as shop:
        shop.clock_at(START)
        shop.events(*WHO, VIEWED)
        told(shop, 0, "deferred", retry_after_seconds=30)
        shop.wall.ms = START + 10 * MINUTE
        shop.shard.take([])
        assert len(shop.outbox("messages")) == 1
        shop.events(track("anna", START + 20_000, "Consent Withdrawn", channel="email", topic="marketing"))
        shop.clock_at(START + 10 * MINUTE)
        assert [(each.outcome, each.reason) for each in made(shop)[-1:]] == [("skip", "no_consent")]
        assert len(shop.outbox("messages")) == 1


def test_what_was_put_off_and_then_accepted_counts_when_a_shard_put_back_comes_to_it(tmp_path: Path) -> None:
    with desk(tmp_path, at_once, rules=AT_NIGHT, wall=EVENING) as shop:
        looks(shop, EVENING)
        [put_off] = made(shop)
        assert put_off.reason == "quiet_hours"
        shop.delivery("anna", accepted(put_off.message_id))
        shop.wall.ms = MORNING + MINUTE
        shop.clock_at(MORNING + MINUTE)
        assert [each.outcome for each in made(shop)] == ["defer", "send"]
        assert shop.outbox("messages") == [], "it is there already"
        assert [each.message_id for each in anna(shop).sent] == [put_off.message_id]


def test_what_came_after_a_message_does_not_undo_it_where_a_shard_was_put_back(tmp_path: Path) -> None:
    with desk(tmp_path / "before", at_once) as shop:
        shop.events(*WHO, VIEWED)
        [sent] = made(shop)
    with desk(tmp_path / "put back", at_once) as shop:
        shop.breaker.ask({"at_once"})
        shop.delivery("anna", accepted(sent.message_id))
        shop.events(*WHO, VIEWED)
        assert made(shop) == [sent]
        assert shop.outbox("messages") == []
        assert anna(shop).sent != []


def test_what_was_decided_before_quiet_hours_is_not_handed_on_in_them(tmp_path: Path) -> None:
    with desk(tmp_path, at_once, rules=AT_NIGHT, wall=EVENING + 90 * MINUTE) as shop:
        looks(shop, EVENING - 75 * MINUTE)
        [row] = shop.outbox("messages")
        assert message(row).fresh_until < shop.wall.ms, "the courier says that it is stale"


def test_a_provider_may_be_away_for_as_long_as_a_message_is_of_use(tmp_path: Path) -> None:
    patient = Template("patient", nothing, within=timedelta(days=7))
    with desk(tmp_path, Flow("at_once", enter=on(ProductViewed), steps=[send(patient)])) as shop:
        shop.clock_at(START)
        shop.events(*WHO, VIEWED)
        for number in range(ATTEMPTS_MAX + 2):
            told(shop, number, "deferred")
            shop.wall.ms += 15 * MINUTE
            shop.clock_at(shop.wall.ms)
        assert shop.wall.ms - START < 7 * DAY
        assert made(shop)[-1].outcome == "send"
