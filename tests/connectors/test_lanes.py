"""What is due at once goes before what waited anyway."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from connectors import lanes
from connectors.answer import Answer
from connectors.lanes import LATER_MAX, QUEUE_MAX, Lane, Provider
from state.messages import Message
from tests.connectors.couriers import message


class Post:
    name = "post"

    async def deliver(self, message: Message) -> Answer:
        return Answer("accepted")

    async def close(self) -> None:
        pass


class Calls:
    """Work that goes on until it is let go; who was called, in order."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self._go = asyncio.Event()

    async def __call__(self, message: Message, provider: Provider) -> None:
        self.began.append(message.message_id)
        await self._go.wait()

    def let_go(self) -> None:
        self._go.set()


def reminder(name: str, **more: Any) -> Message:
    return message(message_id=name, **more)


def live(name: str) -> Message:
    return message(message_id=name, appended_at=1.0)


def tried(put: Callable[[Lane, Calls], None], concurrency: int) -> list[str]:
    """Puts what `put` puts, lets all of it be done, and tells in which order it was."""

    async def body() -> list[str]:
        calls = Calls()
        lane = Lane(Post(), concurrency, calls)
        put(lane, calls)
        await asyncio.sleep(0)
        calls.let_go()
        for _ in range(1_000):
            await asyncio.sleep(0)
        lane.check()
        await lane.finish(1.0)
        return calls.began

    return asyncio.run(body())


def test_what_is_due_at_once_does_not_wait_behind_a_backlog() -> None:
    def put(lane: Lane, calls: Calls) -> None:
        for n in range(20):
            lane.put(reminder(f"reminder-{n}"))
        lane.put(reminder("again", attempt=2, appended_at=1.0))
        lane.put(live("welcome"))

    began = tried(put, 4)
    assert began[:4] == [f"reminder-{n}" for n in range(4)]
    assert began[4] == "welcome"
    assert began[-1] == "again"
    assert len(began) == 22


def test_while_something_is_due_at_once_a_backlog_has_half_of_the_calls() -> None:
    async def body() -> None:
        calls = Calls()
        lane = Lane(Post(), 4, calls)
        lane.put(live("welcome"))
        for n in range(20):
            lane.put(reminder(f"reminder-{n}"))
        await asyncio.sleep(0)
        assert calls.began == ["welcome", "reminder-0", "reminder-1"]
        lane.put(live("welcome-2"))
        await asyncio.sleep(0)
        assert calls.began[-1] == "welcome-2"
        calls.let_go()
        await lane.finish(1.0)

    asyncio.run(body())


def test_when_nothing_was_due_at_once_for_a_while_it_has_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes, "LIVE_SECONDS", 0.0)

    def put(lane: Lane, calls: Calls) -> None:
        lane.put(live("welcome"))
        for n in range(20):
            lane.put(reminder(f"reminder-{n}"))

    assert tried(put, 4)[:4] == ["welcome", "reminder-0", "reminder-1", "reminder-2"]


def test_a_backlog_holds_up_the_courier_only_when_it_is_large() -> None:
    async def body() -> None:
        calls = Calls()
        lane = Lane(Post(), 4, calls)
        for n in range(LATER_MAX + 3):
            lane.put(reminder(f"reminder-{n}"))
        assert not lane.holds_up
        lane.put(reminder("one more"))
        assert lane.holds_up
        other = Lane(Post(), 4, calls)
        for n in range(QUEUE_MAX + 4):
            assert not other.holds_up
            other.put(live(f"welcome-{n}"))
        assert other.holds_up
        calls.let_go()
        await asyncio.gather(lane.finish(1.0), other.finish(1.0))

    asyncio.run(body())


def test_what_ends_a_piece_of_work_is_raised() -> None:
    async def body() -> None:
        async def fails(message: Message, provider: Provider) -> None:
            raise RuntimeError("the log is gone")

        lane = Lane(Post(), 2, fails)
        lane.check()
        lane.put(live("welcome"))
        await asyncio.sleep(0.01)
        with pytest.raises(RuntimeError, match="the log is gone"):
            lane.check()
        await lane.finish(1.0)

    asyncio.run(body())
