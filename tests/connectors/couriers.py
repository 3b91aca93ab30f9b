"""A shop's `messages` in the embedded log, couriers that take them, and a provider that writes down its calls."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import msgspec

from connectors.answer import Answer
from connectors.courier import DELIVERIES, Courier
from connectors.lanes import Provider
from connectors.log import LogReader, LogWriter, create_topics
from state.ids import Ids
from state.messages import MESSAGES, Delivery, Message
from state.records import Record, TopicPartition, TopicSpec

SECONDS_MAX = 20.0
PARTITIONS = 4
IDS = Ids(b"a secret of the tests, long enough for one")
_spawn = multiprocessing.get_context("spawn")
_decode = msgspec.json.Decoder(Delivery).decode


def message(number: int = 0, **more: Any) -> Message:
    given: dict[str, Any] = {
        "message_id": f"m{number}",
        "attempt": 1,
        "customer": f"c{number}",
        "flow": "abandoned_cart",
        "template": "cart_reminder",
        "channel": "email",
        "kind": "marketing",
        "topic": "marketing",
        "address": f"c{number}@example.com",
        "fresh_until": round(time.time() * 1000) + 600_000,
    }
    return Message(**{**given, **more})


class Shop:
    """The log of a shop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        specs = [TopicSpec(name, PARTITIONS, 7) for name in (MESSAGES, DELIVERIES, "dead-letters")]
        create_topics(folder, specs)

    def wants(self, *messages: Message) -> None:
        """Append these messages, as the publisher of a shard does."""
        self.append(MESSAGES, [(each.customer.encode(), msgspec.json.encode(each)) for each in messages])

    def append(self, topic: str, records: Sequence[tuple[bytes, bytes]]) -> None:
        with closing(LogWriter(self.folder, fsync=False)) as writer:
            for key, value in records:
                assert writer.send(topic, key, value)
            assert writer.flush(SECONDS_MAX)

    def records(self, topic: str) -> list[Record]:
        with closing(LogReader(self.folder, "")) as reader:
            tps = [TopicPartition(topic, partition) for partition in range(PARTITIONS)]
            ends, places, found = reader.ends(tps), reader.beginnings(tps), list[Record]()
            reader.assign(places)
            while any(places[tp] < ends[tp] for tp in tps):
                for fetched in reader.poll(1000):
                    places[TopicPartition(fetched.topic, fetched.partition)] = fetched.end
                    found += fetched.records
            return found

    def told(self) -> list[Delivery]:
        """All results so far; a courier's notes of its own start are left out."""
        deliveries = [_decode(record.value or b"") for record in self.records(DELIVERIES)]
        return sorted((each for each in deliveries if each.attempt > 0), key=lambda each: each.at)

    def results(self) -> dict[tuple[str, int], list[str]]:
        """What was told of each attempt, in order."""
        found: dict[tuple[str, int], list[str]] = {}
        for each in self.told():
            word = each.result if each.result in ("accepted", "started") else f"{each.result}: {each.detail}"
            found.setdefault((each.message_id, each.attempt), []).append(word)
        return found

    def forgets_what_was_committed(self) -> None:
        """As after a kill before the next commit."""
        with closing(LogReader(self.folder, "couriers")) as reader:
            reader.commit({TopicPartition(MESSAGES, partition): 0 for partition in range(PARTITIONS)})

    def left(self) -> int:
        """How many messages lie behind what the couriers committed."""
        with closing(LogReader(self.folder, "couriers")) as reader:
            tps = [TopicPartition(MESSAGES, partition) for partition in range(PARTITIONS)]
            committed = reader.committed(tps)
            return sum(end - committed.get(tp, 0) for tp, end in reader.ends(tps).items())


class Post:
    """A provider of the tests: writes down each call in a file, then does as it is told."""

    def __init__(self, calls: Path, does: Callable[[Message], Awaitable[Answer]], name: str = "post") -> None:
        self.name, self._calls, self._does = name, calls, does
        self.under_way = self.under_way_max = 0

    async def deliver(self, message: Message) -> Answer:
        with self._calls.open("a") as opened:
            opened.write(json.dumps([message.message_id, message.attempt]) + "\n")
        self.under_way += 1
        self.under_way_max = max(self.under_way_max, self.under_way)
        try:
            return await self._does(message)
        finally:
            self.under_way -= 1

    async def close(self) -> None:
        pass


async def accepts(_: Message) -> Answer:
    return Answer("accepted")


def calls(file: Path) -> list[tuple[str, int]]:
    """The calls written down, in order."""
    if not file.exists():
        return []
    return [(each[0], each[1]) for each in map(json.loads, file.read_text().splitlines())]


async def courier(
    shop: Shop,
    providers: dict[str, Provider],
    until: Callable[[], object],
    *,
    writer: LogWriter | None = None,
    **more: Any,
) -> None:
    """Run a courier until something holds, then stop it as SIGTERM does."""
    reader, stop = LogReader(shop.folder, "couriers"), asyncio.Event()
    with closing(reader), closing(writer or LogWriter(shop.folder, fsync=False)) as writes:
        works = Courier(reader, writes, providers, list(range(PARTITIONS)), IDS, fileno=reader.fileno(), **more)
        running = asyncio.create_task(works.run(stop))
        deadline = time.monotonic() + SECONDS_MAX
        try:
            while not until():
                assert time.monotonic() < deadline, "it did not come to that"
                with suppress(TimeoutError):
                    await asyncio.wait_for(asyncio.shield(running), 0.01)
                assert not running.done() or running.result() is None
        finally:
            stop.set()
            await running


def dies_at(folder: Path, calls: Path, when: str, singly: bool = False) -> int:
    """A courier in a process of its own, which is killed in the call for this message; its exit code.

    With `singly` it is killed only if no other call is under way then.
    """
    process = _spawn.Process(target=_courier_that_dies, args=(folder, calls, when, singly))
    process.start()
    process.join(SECONDS_MAX)
    assert process.exitcode is not None, "it did not end"
    return process.exitcode


KILLED = 9
DONE = 0


def _courier_that_dies(folder: Path, calls: Path, when: str, singly: bool) -> None:
    async def does(message: Message) -> Answer:
        if message.message_id != when:
            return Answer("accepted")
        if singly and post.under_way > 1:
            return Answer("deferred", "not alone")
        os._exit(KILLED)

    post = Post(calls, does)
    shop = Shop(folder)
    asyncio.run(courier(shop, {"email": post}, lambda: shop.left() == 0))
