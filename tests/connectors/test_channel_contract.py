"""What every channel promises, whoever stands behind it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.answer import Answer
from connectors.breaker import FAILURES_MAX
from connectors.lanes import Provider
from state.messages import Message
from tests.connectors.channels import HOUSES, House, Manner
from tests.connectors.couriers import Post, Shop, accepts, calls, courier, message
from tests.connectors.mail_servers import nobody

SECONDS_MAX = 20.0


@pytest.fixture(params=HOUSES, ids=lambda made: made.__name__.removesuffix("House").lower())
def house(request: pytest.FixtureRequest, tmp_path: Path) -> House:
    made: Callable[[Path], House] = request.param
    return made(tmp_path)


def deliver(provider: Provider, *messages: Message) -> list[Answer]:
    """One after the other."""

    async def all_of_them() -> list[Answer]:
        try:
            return [await provider.deliver(each) for each in messages]
        finally:
            await provider.close()

    return asyncio.run(all_of_them())


def one(house: House, manner: Manner) -> Answer:
    house.manner = manner
    with house.open() as provider:
        [answer] = deliver(provider, house.message())
    return answer


def test_a_message_is_accepted_and_says_what_it_should(house: House) -> None:
    assert one(house, "accepts") == Answer("accepted")
    [told] = house.told()
    assert "o0" in told


def test_a_refusal_for_good_ends_the_message_and_does_not_condemn_the_address(house: House) -> None:
    answer = one(house, "refuses")
    assert (answer.result, answer.permanent_address, answer.gone) == ("refused", False, ())


def test_an_address_that_is_no_more_is_told_as_such(house: House) -> None:
    answer = one(house, "knows nobody there")
    assert answer.result == "refused"
    assert answer.permanent_address or answer.gone == (house.address,)


def test_a_refusal_for_now_is_tried_again(house: House) -> None:
    answer = one(house, "is busy")
    assert answer.result == "deferred"
    assert house.channel == "email" or answer.retry_after_seconds == 7


def test_a_failure_on_the_other_side_ends_no_message(house: House) -> None:
    assert one(house, "fails").result in ("deferred", "unknown")


@pytest.mark.parametrize("manner", ["falls silent", "hangs up"])
def test_once_it_was_handed_over_and_nobody_answers_nobody_can_tell(house: House, manner: Manner) -> None:
    began = time.monotonic()
    answer = one(house, manner)
    assert answer.result == "unknown"
    assert time.monotonic() - began < 10
    assert (answer.detail == "timeout") == (manner == "falls silent")


def test_nobody_listening_has_not_got_it(house: House) -> None:
    with nobody() as port:
        provider = house.provider(f"http://127.0.0.1:{port}")
        [answer] = deliver(provider, house.message())
    assert answer.result == "deferred"


def test_while_it_is_down_nobody_waits_for_it_and_when_it_is_back_messages_go_out(house: House) -> None:
    async def story(provider: Provider) -> None:
        for number in range(FAILURES_MAX):
            assert (await provider.deliver(house.message(number))).result == "unknown"
        began = time.monotonic()
        answers = await asyncio.gather(*(provider.deliver(house.message(number)) for number in range(50)))
        assert {(each.result, each.detail) for each in answers} == {("deferred", "circuit_open")}
        assert all(each.retry_after_seconds > 0 for each in answers)
        assert time.monotonic() - began < 1
        assert len(house.calls()) == FAILURES_MAX
        house.manner = "accepts"
        while (await provider.deliver(house.message())).result != "accepted":
            assert time.monotonic() - began < SECONDS_MAX
            await asyncio.sleep(0.05)
        await provider.close()

    house.manner = "hangs up"
    with house.open() as provider:
        asyncio.run(story(provider))


def test_every_attempt_can_be_known_for_the_same_message(house: House) -> None:
    first = house.message(1, attempt=1)
    with house.open() as provider:
        deliver(provider, first, house.message(1, attempt=2), house.message(2))
    one, again, other = house.identities()
    assert one == again
    assert other != one
    assert first.message_id in one


def test_no_detail_says_to_whom_or_what(house: House) -> None:
    manners: tuple[Manner, ...] = ("refuses", "knows nobody there", "is busy", "fails", "hangs up")
    for manner in manners:
        answer = one(house, manner)
        said = answer.detail
        assert house.address not in said
        assert "o0" not in said
        assert len(said) <= 60


def test_no_more_calls_are_under_way_than_the_courier_allows(house: House, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "log")
    shop.wants(*(house.message(number) for number in range(40)))
    with house.open() as provider:
        asyncio.run(courier(shop, {house.channel: provider}, lambda: shop.left() == 0, concurrency=4))
    assert {result for told in shop.results().values() for result in told} == {"accepted"}
    assert 1 <= house.busy_max() <= 4


def test_a_channel_whose_provider_is_silent_holds_up_no_other(house: House, tmp_path: Path) -> None:
    shop, book = Shop(tmp_path / "log"), tmp_path / "calls"
    other = "sms" if house.channel == "email" else "email"
    stuck = [house.message(number) for number in range(600)]
    well = [message(number, channel=other) for number in range(10_000, 10_100)]
    shop.wants(*stuck, *well)
    house.manner = "falls silent"
    with house.open(timeout_seconds=5.0) as provider:
        providers: dict[str, Provider] = {house.channel: provider, other: Post(book, accepts)}
        began = time.monotonic()

        def they_are_out() -> bool:
            if len(calls(book)) < len(well):
                return False
            assert time.monotonic() - began < 4, "they waited for those that are stuck"
            house.site.closing.set()
            return True

        asyncio.run(courier(shop, providers, they_are_out, concurrency=4))
