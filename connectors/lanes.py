"""Lanes: each channel of a courier calls its own provider, so that one that hangs holds up nobody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from connectors.answer import Answer
from state.messages import Message

QUEUE_MAX = 256
PATIENCE_SECONDS = 1.0
SLOW = 64  # a lane that ends fewer pieces of work in that time is slow


class Provider(Protocol):
    """Whoever can bring a message to a customer.  Answers, and does not raise, whatever the other side does."""

    name: str

    async def deliver(self, message: Message) -> Answer: ...

    async def close(self) -> None: ...


class Lane:
    """At most `concurrency` pieces of work at a time, and a short queue before them.

    `work` ends when the result of its call is in the log: what is not, counts as under way.  A full lane holds up the
    courier, which is how one that works takes a backlog at its own speed; one that hangs or is slow turns messages
    away after a moment and until half of its queue is gone, so that other channels go on.
    """

    def __init__(
        self, provider: Provider, concurrency: int, work: Callable[[Message, Provider], Awaitable[None]]
    ) -> None:
        self.provider = provider
        self._work = work
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        self._full_since: float | None = None
        self._ended = 0  # pieces of work, since then
        self._turns_away = False
        self._workers = [asyncio.create_task(self._run()) for _ in range(concurrency)]

    def put(self, message: Message) -> None:
        self._queue.put_nowait(message)
        if self._full_since is None and self._queue.qsize() >= QUEUE_MAX:
            self._full_since, self._ended = time.monotonic(), 0

    @property
    def holds_up(self) -> bool:
        """Whether to wait before reading more."""
        return self._full_since is not None and not self.turns_away

    @property
    def turns_away(self) -> bool:
        """Whether its messages are to be answered `busy`."""
        if self._full_since is not None and (now := time.monotonic()) - self._full_since > PATIENCE_SECONDS:
            self._turns_away = self._turns_away or self._ended < SLOW
            self._full_since, self._ended = now, 0
        return self._turns_away

    def check(self) -> None:
        """Raise what ended a worker, if anything did: its message would never be answered."""
        for worker in self._workers:
            if worker.done():
                worker.result()

    async def finish(self, seconds: float) -> None:
        """Let the work under way end; what waits is left for the next courier."""
        while not self._queue.empty():
            self._queue.get_nowait()
            self._queue.task_done()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._queue.join(), seconds)
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.provider.close(), PATIENCE_SECONDS)

    async def _run(self) -> None:
        while True:
            message = await self._queue.get()
            left = self._queue.qsize()
            if left < QUEUE_MAX:
                self._full_since = None
            if left <= QUEUE_MAX // 2:
                self._turns_away = False
            try:
                await self._work(message, self.provider)
            finally:
                self._ended += 1
                self._queue.task_done()
