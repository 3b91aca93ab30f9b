"""Couriers over the real embedded log: each message tried once and told, whatever dies, hangs or repeats itself."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.answer import Answer
from connectors.courier import DELIVERIES
from connectors.lanes import LATER_MAX, PATIENCE_SECONDS, Provider
from connectors.log import LogWriter
from state.messages import MESSAGES, Message
from state.recommendations import History, Wanted
from state.records import Ack
from tests.connectors.couriers import (
    DONE,
    KILLED,
    Post,
    Shop,
    accepts,
    calls,
    courier,
    dies_at,
    message,
)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path / "log")


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """Where the provider writes down its calls."""
    return tmp_path / "calls"


def run(shop: Shop, post: Post, **more: Any) -> None:
    asyncio.run(courier(shop, {"email": post}, lambda: shop.left() == 0, **more))


def test_each_message_is_tried_once_and_its_result_is_told(shop: Shop, book: Path) -> None:
    shop.wants(*map(message, range(100)))
    run(shop, Post(book, accepts))
    assert Counter(calls(book)) == Counter({(f"m{n}", 1): 1 for n in range(100)})
    assert shop.results() == {(f"m{n}", 1): ["accepted"] for n in range(100)}


def test_a_message_that_comes_twice_is_sent_once(shop: Shop, book: Path) -> None:
    shop.wants(message(1), message(1), message(2), message(1))
    run(shop, Post(book, accepts))
    assert sorted(calls(book)) == [("m1", 1), ("m2", 1)]


def test_another_attempt_is_another_call(shop: Shop, book: Path) -> None:
    shop.wants(message(1), message(1, attempt=2))
    run(shop, Post(book, accepts))
    assert sorted(calls(book)) == [("m1", 1), ("m1", 2)]


@pytest.mark.parametrize(
    "answer",
    [
        Answer("refused", "550 5.1.1", permanent_address=True),
        Answer("deferred", "circuit_open", retry_after_seconds=3.5),
        Answer("unknown", "timeout"),
        Answer("no_content", "it prints something"),
    ],
)
def test_what_the_provider_answers_is_what_the_shard_is_told(shop: Shop, book: Path, answer: Answer) -> None:
    async def does(_: Message) -> Answer:
        return answer

    shop.wants(message(1))
    run(shop, Post(book, does))
    [told] = shop.told()
    assert Answer(told.result, told.detail, told.permanent_address, told.retry_after_seconds) == answer
    assert (told.message_id, told.attempt, told.provider) == ("m1", 1, "post")


def test_a_provider_that_raises_is_an_unknown_outcome_and_nobody_reads_the_address_in_the_log(
    shop: Shop, book: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def does(message: Message) -> Answer:
        raise ValueError(f"cannot send to {message.address}")

    shop.wants(message(1), message(2))
    run(shop, Post(book, does))
    assert {each for told in shop.results().values() for each in told} == {"unknown: ValueError"}
    assert "provider failed" in caplog.text
    assert not [record for record in caplog.records if "example.com" in repr(record.__dict__)]


def test_a_template_that_cannot_be_filled_in_is_told_in_the_log_once(
    shop: Shop, book: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def does(_: Message) -> Answer:
        return Answer("no_content", "told_once/body.txt, line 1: 'name' is undefined")

    shop.wants(*(message(number) for number in range(1, 5)))
    run(shop, Post(book, does))
    [told] = [record for record in caplog.records if record.message == "a message could not be written"]
    assert "told_once/body.txt, line 1" in told.__dict__["error"]


def test_a_message_that_waited_too_long_is_the_shards_to_judge_again(shop: Shop, book: Path) -> None:
    shop.wants(message(1, fresh_until=round(time.time() * 1000) - 1), message(2))
    run(shop, Post(book, accepts))
    assert calls(book) == [("m2", 1)]
    assert shop.results()["m1", 1] == ["deferred: stale"]


def test_a_channel_without_a_provider_refuses(shop: Shop, book: Path) -> None:
    shop.wants(message(1, channel="sms"))
    run(shop, Post(book, accepts))
    assert shop.results() == {("m1", 1): ["refused: no_provider"]}


def test_what_is_no_message_is_set_aside_with_its_place(shop: Shop, book: Path) -> None:
    shop.append(MESSAGES, [(b"c1", b"{"), (b"c1", b"\xff\x00"), (b"c1", b'{"message_id": 7}')])
    shop.wants(message(1))
    run(shop, Post(book, accepts))
    assert len(shop.records("dead-letters")) == 3
    assert calls(book) == [("m1", 1)]


# -- channels that hang, and bounds


def test_a_channel_that_hangs_holds_up_itself_only(shop: Shop, book: Path) -> None:
    stuck = [message(n) for n in range(LATER_MAX + 500)]
    texts = [message(n, channel="sms") for n in range(10_000, 10_100)]
    shop.wants(*stuck, *texts)
    released = asyncio.Event()

    async def hangs(_: Message) -> Answer:
        await released.wait()
        return Answer("accepted")

    def the_texts_are_out() -> bool:
        if len(calls(book)) < len(texts):
            return False
        released.set()
        return True

    providers: dict[str, Provider] = {"email": Post(book.with_name("email"), hangs), "sms": Post(book, accepts)}
    began = time.monotonic()
    asyncio.run(courier(shop, providers, the_texts_are_out, concurrency=4))
    assert time.monotonic() - began < PATIENCE_SECONDS + 5
    assert len(calls(book.with_name("email"))) == 4
    busy = [key for key, told in shop.results().items() if told == ["deferred: busy"]]
    assert 0 < len(busy) < len(stuck) - LATER_MAX
    assert shop.left() > 0, "what was under way or waited is the next courier's"


class Silent(LogWriter):
    """A log that writes, and keeps its answers for results to itself until it is asked to go on."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, fsync=False)
        self.answers = False
        self.kept: list[Ack] = []
        self.others: list[Ack] = []

    def acknowledged(self) -> Sequence[Ack]:
        for ack in super().acknowledged():
            result = isinstance(ack.token, tuple) and ack.token[0] == "result"
            (self.kept if result else self.others).append(ack)
        told, self.others = self.others, []
        if self.answers:
            told, self.kept = [*told, *self.kept], []
        return told


def test_results_the_log_has_not_confirmed_count_as_under_way(shop: Shop, book: Path) -> None:
    shop.wants(*map(message, range(50)))
    writer = Silent(shop.folder)
    quiet_until: list[float] = []

    def told_four_and_no_more() -> bool:
        if len(calls(book)) < 4:
            return False
        quiet_until.append(quiet_until[0] if quiet_until else time.monotonic() + 0.3)
        assert len(calls(book)) == 4
        if time.monotonic() < quiet_until[0]:
            return False
        writer.answers = True
        return True

    asyncio.run(courier(shop, {"email": Post(book, accepts)}, told_four_and_no_more, writer=writer, concurrency=4))
    run(shop, Post(book, accepts))
    assert Counter(calls(book)) == Counter({(f"m{n}", 1): 1 for n in range(50)})


def test_no_more_calls_are_under_way_than_allowed(shop: Shop, book: Path) -> None:
    async def does(_: Message) -> Answer:
        await asyncio.sleep(0.001)
        return Answer("accepted")

    shop.wants(*map(message, range(200)))
    post = Post(book, does)
    run(shop, post, concurrency=7)
    assert post.under_way_max == 7


# -- couriers that stop and die


def test_a_courier_that_is_stopped_leaves_nothing_to_repeat(shop: Shop, book: Path) -> None:
    shop.wants(*map(message, range(300)))
    asyncio.run(courier(shop, {"email": Post(book, accepts)}, lambda: len(calls(book)) > 50))
    run(shop, Post(book, accepts))
    assert Counter(calls(book)) == Counter({(f"m{n}", 1): 1 for n in range(300)})


def test_a_courier_killed_between_result_and_commit_sends_nothing_again(shop: Shop, book: Path) -> None:
    shop.wants(*map(message, range(40)))
    run(shop, Post(book, accepts))
    shop.forgets_what_was_committed()
    assert shop.left() == 40, "the commits are gone"
    run(shop, Post(book, accepts))
    assert len(calls(book)) == 40


def test_a_killed_courier_repeats_only_what_was_under_way(shop: Shop, book: Path) -> None:
    shop.wants(*map(message, range(60)))
    assert dies_at(shop.folder, book, "m30") == KILLED
    before = Counter(calls(book))
    told_before = set(shop.results())
    run(shop, Post(book, accepts))
    after = Counter(calls(book))
    assert set(after) == {(f"m{n}", 1) for n in range(60)}
    again = {key for key in after if after[key] > 1}
    assert again == set(before) - told_before
    assert len(again) <= 32


def test_a_message_that_kills_couriers_is_refused_as_poison_and_the_others_arrive(shop: Shop, book: Path) -> None:
    """Two deaths, then one at a time; after three more, each of them logged before the call, it is refused."""
    shop.wants(*map(message, range(20)))
    deaths = 0
    while (ended := dies_at(shop.folder, book, "m7", singly=deaths >= 2)) == KILLED:
        deaths += 1
        assert deaths <= 8
    assert ended == DONE
    results = shop.results()
    assert results.pop(("m7", 1)) == ["started"] * 3 + ["refused: poison"]
    assert all(told[-1] == "accepted" for told in results.values())
    assert set(results) == {(f"m{n}", 1) for n in range(20) if n != 7}
    assert 5 <= deaths <= 7, "the first deaths may be put down to another message that was open"


def test_where_a_flow_asks_for_at_most_once_a_killed_call_is_not_repeated(shop: Shop, book: Path) -> None:
    shop.wants(message(7, at_most_once=True), message(8))
    assert dies_at(shop.folder, book, "m7") == KILLED
    assert shop.results()["m7", 1] == ["started"]
    run(shop, Post(book, accepts))
    assert Counter(calls(book))["m7", 1] == 1
    assert shop.results()["m7", 1] == ["started", "unknown: started_before"]
    assert shop.results()["m8", 1][-1] == "accepted"


def test_a_quiet_partition_is_looked_back_at_as_far_as_its_own_oldest_message(shop: Shop, book: Path) -> None:
    """Its result may be much older than all that a busy partition still has to do."""
    shop.wants(message(1))
    run(shop, Post(book, accepts))
    told = [record for record in shop.records(DELIVERIES) if b'"accepted"' in (record.value or b"")]
    assert len(told) == 1
    shop.forgets_what_was_committed()
    shop.wants(*map(message, range(2, 1500)))
    run(shop, Post(book, accepts))
    assert Counter(calls(book))["m1", 1] == 1
    assert len(calls(book)) == 1499


TOO_FEW = "no_content: too few recommendations"


def wants(number: int, at_least: int) -> Message:
    wanted = Wanted(block="discover", count=4, at_least=at_least, history=History(touched={"shoes": 1}))
    return msgspec.structs.replace(message(number), content={"first_name": "Anna"}, wanted=wanted)


def test_products_are_chosen_when_a_message_is_sent_and_where_they_are_too_few_the_shard_is_told(
    shop: Shop, book: Path
) -> None:
    shown: list[object] = []

    async def shows(asked: Message) -> Answer:
        shown.append(asked.content)
        return Answer("accepted")

    async def choose(asked: Message, wanted: Wanted) -> list[dict[str, Any]] | None:
        assert wanted.history.touched == {"shoes": 1}
        return None if asked.message_id == "m2" else [{"product_id": "laces"}]

    shop.wants(wants(1, at_least=1), wants(2, at_least=1), wants(3, at_least=0))
    run(shop, Post(book, shows), choose=choose)
    assert shop.results() == {
        ("m1", 1): ["accepted"],
        ("m2", 1): [TOO_FEW],
        ("m3", 1): ["accepted"],
    }
    assert shown == [{"first_name": "Anna", "recommended": [{"product_id": "laces"}]}] * 2
    assert {each.message_id: each.shown for each in shop.told()} == {"m1": ("laces",), "m2": (), "m3": ("laces",)}


def test_what_a_message_showed_that_did_not_arrive_is_not_told(shop: Shop, book: Path) -> None:
    async def does(asked: Message) -> Answer:
        if asked.message_id == "m3":
            raise RuntimeError("who knows")
        return Answer("accepted" if asked.message_id == "m1" else "refused")

    async def choose(_: Message, __: Wanted) -> list[dict[str, Any]] | None:
        return [{"product_id": "laces"}, {"product_id": "polish"}]

    shop.wants(*(wants(number, at_least=1) for number in (1, 2, 3)))
    run(shop, Post(book, does), choose=choose)
    both = ("laces", "polish")
    assert {each.message_id: each.shown for each in shop.told()} == {"m1": both, "m2": (), "m3": both}


def test_without_anybody_who_chooses_only_what_must_have_products_is_not_sent(shop: Shop, book: Path) -> None:
    shop.wants(wants(1, at_least=0), wants(2, at_least=1))
    run(shop, Post(book, accepts))
    assert shop.results() == {("m1", 1): ["accepted"], ("m2", 1): [TOO_FEW]}
