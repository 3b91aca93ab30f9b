"""Lanes: each channel of a courier calls its own provider, so that one that hangs holds up nobody else."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Protocol, runtime_checkable

from connectors.answer import Answer
from state.messages import Message

QUEUE_MAX = 256  # of what is due at once; with so many in all, a lane must show that it is not slow
LATER_MAX = 4_096
LIVE_SECONDS = 5.0  # so long after something was due at once, calls are kept free for more of it
PATIENCE_SECONDS = 1.0
SLOW = 64  # a lane that ends fewer pieces of work in that time is slow
TARGETS_MAX = 256  # of one channel with work to do
TARGET_QUEUE_MAX = 64


class Provider(Protocol):
    """Whoever can bring a message to a customer.  Answers, and does not raise, whatever the other side does."""

    name: str

    async def deliver(self, message: Message) -> Answer: ...

    async def close(self) -> None: ...


class Pace:
    """How many pieces of work ended in the last second or two."""

    def __init__(self) -> None:
        self._second, self._before, self._now = 0, 0, 0

    def ended(self) -> None:
        self._turn()
        self._now += 1

    def is_slow(self) -> bool:
        self._turn()
        return self._before + self._now < SLOW

    def _turn(self) -> None:
        second = int(time.monotonic())
        if second != self._second:
            self._before = self._now if second == self._second + 1 else 0
            self._second, self._now = second, 0


class _Tasks:
    """What is under way in a lane, and what ended one of them that should not have ended."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._failed: BaseException | None = None

    def __len__(self) -> int:
        return len(self._running)

    def start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)

    def check(self) -> None:
        if self._failed is not None:
            raise self._failed

    async def finish(self, seconds: float, provider: Provider) -> None:
        """Let them end within so many seconds, and close the provider."""
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(provider.close(), PATIENCE_SECONDS)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed = error


class Lane:
    """At most `concurrency` pieces of work at a time, and two queues before them.

    What is due at once, because of an event just now, goes before all that waited anyway: reminders, and what is tried
    again after an outage or comes at the end of quiet hours.  Of the pieces under way those are half at most, unless
    nothing was due at once for a while.
    `work` ends when the result of its call is in the log: what is not, counts as under way.  A full queue holds up the
    courier, which is how one that works takes a backlog at its own speed; one that hangs or is slow turns messages
    away until few are left, so that other channels go on: at once where it was seen to be slow while they
    gathered, after a moment where they came too fast to tell.
    """

    def __init__(
        self, provider: Provider, concurrency: int, work: Callable[[Message, Provider], Awaitable[None]]
    ) -> None:
        self.provider = provider
        self._work = work
        self._live: deque[Message] = deque()
        self._later: deque[Message] = deque()
        self._calls_max, self._later_max = concurrency, max(1, concurrency // 2)
        self._later_under_way = 0
        self._live_at = -LIVE_SECONDS
        self._many_since: float | None = None
        self._busy_since = 0.0
        self._ended = 0  # pieces of work, since there are many
        self._pace = Pace()
        self._turns_away = False
        self._tasks = _Tasks()

    def takes(self, message: Message) -> bool:
        """Whether it may be put; it is to be answered `busy` otherwise."""
        return not self.turns_away

    def put(self, message: Message) -> None:
        now = time.monotonic()
        if not self._waiting:
            self._busy_since = now
        if _is_live(message):
            self._live.append(message)
            self._live_at = now
        else:
            self._later.append(message)
        if self._many_since is None and self._waiting >= QUEUE_MAX:
            if now - self._busy_since > PATIENCE_SECONDS and self._pace.is_slow():
                self._turns_away = True
            self._many_since, self._ended = now, 0
        if len(self._tasks) < self._calls_max and (first := self._next()) is not None:
            self._tasks.start(self._run(first))

    @property
    def holds_up(self) -> bool:
        """Whether to wait before reading more."""
        full = len(self._live) >= QUEUE_MAX or len(self._later) >= LATER_MAX
        return full and not self.turns_away

    @property
    def turns_away(self) -> bool:
        """Whether its messages are to be answered `busy`."""
        if self._many_since is not None and (now := time.monotonic()) - self._many_since > PATIENCE_SECONDS:
            self._turns_away = self._turns_away or self._ended < SLOW
            self._many_since, self._ended = now, 0
        return self._turns_away

    def check(self) -> None:
        """Raise what ended a piece of work, if anything did: its message would never be answered."""
        self._tasks.check()

    async def finish(self, seconds: float) -> None:
        """Let the work under way end; what waits is left for the next courier."""
        self._live.clear()
        self._later.clear()
        await self._tasks.finish(seconds, self.provider)

    @property
    def _waiting(self) -> int:
        return len(self._live) + len(self._later)

    def _next(self) -> Message | None:
        if self._live:
            return self._live.popleft()
        if self._later and (self._later_under_way < self._later_max or time.monotonic() - self._live_at > LIVE_SECONDS):
            self._later_under_way += 1
            return self._later.popleft()
        return None

    async def _run(self, message: Message | None) -> None:
        while message is not None:
            waiting = self._waiting
            if waiting < QUEUE_MAX:
                self._many_since = None
            if waiting <= QUEUE_MAX // 2:
                self._turns_away = False
            try:
                await self._work(message, self.provider)
            finally:
                self._ended += 1
                self._pace.ended()
                if not _is_live(message):
                    self._later_under_way -= 1
            message = self._next()


def _is_live(message: Message) -> bool:
    """Whether an event just now called for it."""
    return message.appended_at > 0 and message.attempt == 1


@runtime_checkable
class Targets(Provider, Protocol):
    """A provider whose messages go to many others, each of which may be slow by itself."""

    def target(self, message: Message) -> str: ...


class TargetLanes:
    """The lane of a channel that has one for each target with work to do.

    A target has `calls_per_target` pieces of work at a time and a short queue; all of them together have
    `concurrency`.  One that is full holds up the courier only where it was seen to be fast; all others are turned
    away, so that a slow target slows nobody else.
    """

    def __init__(
        self, provider: Targets, concurrency: int, work: Callable[[Message, Provider], Awaitable[None]]
    ) -> None:
        self.provider = provider
        self._targets, self._work = provider, work
        self._slots = asyncio.Semaphore(concurrency)
        self._busy: dict[str, _Target] = {}
        self._tasks = _Tasks()
        self._calls_max = calls_per_target(concurrency)
        self._full: str | None = None  # the fast target that holds up the courier

    def takes(self, message: Message) -> bool:
        busy = self._busy.get(self._targets.target(message))
        if busy is None:
            return len(self._busy) < TARGETS_MAX
        return len(busy.waiting) < TARGET_QUEUE_MAX

    def put(self, message: Message) -> None:
        name = self._targets.target(message)
        busy = self._busy.setdefault(name, _Target())
        busy.waiting.append(message)
        if len(busy.waiting) >= TARGET_QUEUE_MAX and not busy.pace.is_slow():
            self._full = name
        if busy.under_way < self._calls_max:
            busy.under_way += 1
            self._tasks.start(self._run(name, busy))

    @property
    def holds_up(self) -> bool:
        busy = self._busy.get(self._full) if self._full is not None else None
        if busy is None or len(busy.waiting) < TARGET_QUEUE_MAX or busy.pace.is_slow():
            self._full = None
        return self._full is not None

    def check(self) -> None:
        self._tasks.check()

    async def finish(self, seconds: float) -> None:
        for busy in self._busy.values():
            busy.waiting.clear()
        await self._tasks.finish(seconds, self.provider)

    async def _run(self, name: str, busy: _Target) -> None:
        try:
            while busy.waiting:
                message = busy.waiting.popleft()
                async with self._slots:
                    await self._work(message, self.provider)
                busy.pace.ended()
        finally:
            busy.under_way -= 1
            if not busy.under_way and not busy.waiting:
                self._busy.pop(name, None)


def lane_of(
    provider: Provider, concurrency: int, work: Callable[[Message, Provider], Awaitable[None]]
) -> Lane | TargetLanes:
    if isinstance(provider, Targets):
        return TargetLanes(provider, concurrency, work)
    return Lane(provider, concurrency, work)


class _Target:
    """What one target has to do."""

    __slots__ = ("pace", "under_way", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[Message] = deque()
        self.under_way = 0
        self.pace = Pace()


def calls_per_target(concurrency: int) -> int:
    """So few that several slow targets leave room for the others."""
    return max(1, concurrency // 8)
