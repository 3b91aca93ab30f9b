"""Lanes: each channel of a courier calls its own provider, so that one that hangs holds up nobody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

from connectors.smtp import Answer
from state.messages import Message

QUEUE_MAX = 256
PATIENCE_SECONDS = 2.0


class Provider(Protocol):
    """Whoever can bring a message to a customer.  Answers, and does not raise, whatever the other side does."""

    name: str

    async def deliver(self, message: Message) -> Answer: ...

    async def close(self) -> None: ...


class Lane:
    """At most `concurrency` calls at a time, and a short queue before them."""

    def __init__(
        self, provider: Provider, concurrency: int, work: Callable[[Message, Provider], Awaitable[None]]
    ) -> None:
        self.provider = provider
        self._work = work
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        self._progress_at = time.monotonic()
        self._workers = [asyncio.create_task(self._run()) for _ in range(concurrency)]

    def put(self, message: Message) -> None:
        if self._queue.empty():
            self._progress_at = time.monotonic()
        self._queue.put_nowait(message)

    @property
    def is_full(self) -> bool:
        return self._queue.qsize() >= QUEUE_MAX

    @property
    def is_stuck(self) -> bool:
        """Full, and nothing has come to an end for a while."""
        return self.is_full and time.monotonic() - self._progress_at > PATIENCE_SECONDS

    async def finish(self, seconds: float) -> None:
        """Let the calls under way end; what waits is left for the next courier."""
        while not self._queue.empty():
            self._queue.get_nowait()
            self._queue.task_done()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._queue.join(), seconds)
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        await self.provider.close()

    async def _run(self) -> None:
        while True:
            message = await self._queue.get()
            try:
                await self._work(message, self.provider)
            finally:
                self._progress_at = time.monotonic()
                self._queue.task_done()
