"""The courier: takes messages from the log, tries each once, and tells what came of it.

It keeps no state but the log.  What it may repeat after a crash are the calls that were under way, and
those carry the same message id.  Retries, expiry and consent are the shard's to judge.
"""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import msgspec
from prometheus_client import Counter, Histogram

from connectors.answer import Answer
from connectors.catch_up import Key, catch_up
from connectors.lanes import Lane, Provider, TargetLanes, lane_of
from connectors.outages import Outages
from state import dead_letters
from state.ids import Ids
from state.instants import format_instant
from state.messages import MESSAGES, Delivery, Message
from state.recommendations import Wanted
from state.records import Reader, Record, TopicPartition, Writer

log = logging.getLogger("impuls.courier")

DELIVERIES, DEAD_LETTERS = "deliveries", "dead-letters"
SEEN_MAX = 500_000
DEATHS_MAX = 2
STARTS_MAX = 3
COMMIT_SECONDS = 0.5
FINISH_SECONDS = 10.0
UNSENT_MAX = 10_000
BUSY_SECONDS = 5.0
UNWRITTEN_MAX, UNWRITTEN_EVERY = 1_000, 1_000
MAY_HAVE_ARRIVED = ("accepted", "unknown")

DELIVERED = Counter("impuls_deliveries", "Attempts, by what came of them", ["provider", "result"])
ACCEPTED = Histogram(
    "impuls_event_to_accepted_seconds",
    "From an event's entry in the log to its message's acceptance, for messages due at once",
    ["channel"],
    buckets=(0.002, 0.003, 0.004, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1, 5, 60),
)

Chooser = Callable[[Message, Wanted], Awaitable[Sequence[Mapping[str, Any]] | None]]
"""Gives the products that a message shows, each as its template takes it; None where they are too few."""

_message = msgspec.json.Decoder(Message)
_encode = msgspec.json.Encoder().encode


class Courier:
    """One of a deployment's couriers, with the partitions of `messages` it was given."""

    def __init__(
        self,
        reader: Reader,
        writer: Writer,
        providers: Mapping[str, Provider],
        partitions: list[int],
        ids: Ids,
        *,
        concurrency: int = 32,
        choose: Chooser | None = None,
        wall: Callable[[], float] = time.time,
        fileno: int | None = None,
    ) -> None:
        self._reader, self._writer, self._providers = reader, writer, providers
        self._partitions = [TopicPartition(MESSAGES, partition) for partition in partitions]
        self._ids, self._concurrency, self._wall, self._fileno = ids, concurrency, wall, fileno
        self._choose = choose
        self._lanes: dict[str, Lane | TargetLanes] = {}
        self._seen: OrderedDict[Key, None] = OrderedDict()
        self._starts: dict[Key, int] = {}
        self._under_way: dict[Key, tuple[TopicPartition, int]] = {}
        self._open: dict[TopicPartition, set[int]] = {tp: set() for tp in self._partitions}
        self._next: dict[TopicPartition, int] = {}
        self._unsent: deque[tuple[str, bytes, bytes, object]] = deque()
        self._written: dict[tuple[str, Key], asyncio.Event] = {}  # what waits until its record is in the log
        self._outages = Outages()
        self._unwritten: dict[tuple[str, str], int] = {}  # how often a template could not be written, and why
        self._singly = 0  # so many messages are still to be called one at a time
        self._alone = asyncio.Lock()
        self._commit_at = 0.0
        self._rung = asyncio.Event()

    async def run(self, stop: asyncio.Event) -> None:
        """Work until asked to stop; then let the calls under way end, and commit what is settled."""
        loop = asyncio.get_running_loop()
        for channel, provider in self._providers.items():
            self._lanes[channel] = lane_of(provider, self._concurrency, self._call)
        first = await self._begin()
        await self._noted(stop)
        if self._fileno is not None:
            loop.add_reader(self._fileno, self._rung.set)
        try:
            for tp, record in first:
                self._take(tp, record)
            while not stop.is_set():
                if not self._turn():
                    await self._pause(stop)
        finally:
            if self._fileno is not None:
                loop.remove_reader(self._fileno)
            await self._finish()

    # -- starting

    async def _begin(self) -> list[tuple[TopicPartition, Record]]:
        """Learn which of the uncommitted messages have a result already; the messages read on the way."""
        past = await catch_up(self._reader, self._partitions, DELIVERIES, round(self._wall() * 1000))
        self._next, self._starts = past.next, past.starts
        for key in past.settled:
            self._remember(key)
        if past.first:
            self._die_no_more(past.first)
        return past.first

    def _die_no_more(self, first: list[tuple[TopicPartition, Record]]) -> None:
        """When couriers keep dying at the same messages, one of them may be why: call them one at a time."""
        waiting: dict[TopicPartition, Record] = {}
        oldest: dict[TopicPartition, Key] = {}
        count = 0
        for tp, record in first:
            try:
                message = _message.decode(record.value or b"")
            except msgspec.MsgspecError:
                continue
            key = message.message_id, message.attempt
            if key not in self._seen:
                count += 1
                if tp not in oldest:
                    oldest[tp], waiting[tp] = key, record
        # An attempt below zero is never one of a shard's: it counts the starts of couriers at this message.
        deaths = max((self._starts.get((name, -attempt), 0) for name, attempt in oldest.values()), default=0)
        if deaths >= DEATHS_MAX:
            self._singly = count
            log.warning("calling one at a time", extra={"deaths": deaths, "messages": count})
        for tp, (name, attempt) in oldest.items():
            key = name, -attempt
            self._written["note", key] = asyncio.Event()
            began = Answer("started", "courier_started")
            self._tell(*key, waiting[tp].key or b"", "courier", began, token=("note", key))

    async def _noted(self, stop: asyncio.Event) -> None:
        """Wait until the log knows that this courier began, or its death at the first call would count for nothing."""
        while self._written and not stop.is_set():
            self._collect()
            self._send_on()
            await asyncio.sleep(0.001)

    # -- working

    def _turn(self) -> bool:
        """Read and hand out what there is; whether there was anything."""
        self._collect()
        self._send_on()
        if time.monotonic() >= self._commit_at:
            self._commit()
        for lane in self._lanes.values():
            lane.check()
        if len(self._unsent) > UNSENT_MAX or any(lane.holds_up for lane in self._lanes.values()):
            return False
        busy = False
        for fetched in self._reader.poll(64):
            tp = TopicPartition(fetched.topic, fetched.partition)
            for record in fetched.records:
                self._take(tp, record)
                busy = True
            if tp in self._next:
                self._next[tp] = max(self._next[tp], fetched.end)
        return busy

    async def _pause(self, stop: asyncio.Event) -> None:
        pause = 0.005 if self._under_way or self._unsent else 0.1
        self._rung.clear()
        if self._fileno is None:
            await asyncio.sleep(min(pause, 0.01))
            return
        with suppress(TimeoutError):
            await asyncio.wait_for(self._rung.wait(), pause)

    def _take(self, tp: TopicPartition, record: Record) -> None:
        try:
            message = _message.decode(record.value or b"")
        except msgspec.MsgspecError as error:
            self._set_aside(tp, record, type(error).__name__)
            return
        key = message.message_id, message.attempt
        if key in self._seen or key in self._under_way:
            return
        self._remember(key)
        self._open[tp].add(record.offset)
        self._under_way[key] = (tp, record.offset)
        lane = self._lanes.get(message.channel)
        if lane is None:
            self._answer(message, "none", Answer("refused", "no_provider"))
        elif self._starts.get(key, 0) >= STARTS_MAX:
            self._answer(message, lane.provider.name, Answer("refused", "poison"))
        elif message.at_most_once and self._starts.get(key, 0):
            self._answer(message, lane.provider.name, Answer("unknown", "started_before"))
        elif not lane.takes(message):
            self._answer(message, lane.provider.name, Answer("deferred", "busy", retry_after_seconds=BUSY_SECONDS))
        else:
            lane.put(message)

    async def _call(self, message: Message, provider: Provider) -> None:
        if self._wall() * 1000 > message.fresh_until:
            await self._answered(message, provider, Answer("deferred", "stale"))
            return
        if message.wanted is not None:
            chosen = await self._chosen(message, message.wanted)
            if chosen is None:
                await self._answered(message, provider, Answer("no_content", "too few recommendations"))
                return
            message = chosen
        shown = tuple(each["product_id"] for each in message.content["recommended"]) if message.wanted else ()
        if self._singly > 0:
            async with self._alone:
                self._singly -= 1
                await self._started_first(message, provider)
                answer = await self._deliver(provider, message)
        else:
            if message.at_most_once:
                await self._started_first(message, provider)
            answer = await self._deliver(provider, message)
        took = 0.0
        if answer.result == "accepted" and message.appended_at:
            took = max(0.0, self._wall() - message.appended_at)
            ACCEPTED.labels(message.channel).observe(took)
        if answer.result not in MAY_HAVE_ARRIVED:
            shown = ()
        await self._answered(message, provider, answer, round(took * 1000, 3), shown)

    async def _chosen(self, message: Message, wanted: Wanted) -> Message | None:
        """The message with its recommendations; with none where none must be and nobody can choose."""
        chosen = await self._choose(message, wanted) if self._choose is not None else None
        if chosen is None and not wanted.at_least:
            chosen = []
        if chosen is None:
            return None
        return msgspec.structs.replace(message, content={**message.content, "recommended": chosen})

    async def _deliver(self, provider: Provider, message: Message) -> Answer:
        try:
            answer = await provider.deliver(message)
        except Exception as error:
            # Where it was raised, and not its text, which may say to whom the message goes.
            where = traceback.extract_tb(error.__traceback__)[-1]
            log.error(
                "provider failed",
                extra={
                    "provider": provider.name,
                    "flow": message.flow,
                    "error": type(error).__name__,
                    "where": f"{where.filename}:{where.lineno}",
                },
            )
            return Answer("unknown", type(error).__name__)
        self._outages.heard(message, provider.name, answer)
        if answer.result == "no_content":
            self._tell_unwritten(message.template, answer.detail)
        return answer

    def _tell_unwritten(self, template: str, detail: str) -> None:
        """A template that cannot be filled in silences its message for everybody: log that at first, then seldom."""
        if len(self._unwritten) >= UNWRITTEN_MAX:
            self._unwritten.clear()
        times = self._unwritten.get((template, detail), 0)
        if times % UNWRITTEN_EVERY == 0:
            log.error("a message could not be written", extra={"template": template, "error": detail})
        self._unwritten[template, detail] = times + 1

    async def _started_first(self, message: Message, provider: Provider) -> None:
        """Write down that a call begins, and wait until that is in the log."""
        key = message.message_id, message.attempt
        written = self._written["started", key] = asyncio.Event()
        self._tell(*key, message.customer.encode(), provider.name, Answer("started"), token=("started", key))
        await written.wait()

    async def _answered(
        self,
        message: Message,
        provider: Provider,
        answer: Answer,
        took_ms: float = 0.0,
        shown: tuple[str, ...] = (),
    ) -> None:
        """Tell, and wait until it is in the log: a call whose result is not, counts as under way."""
        written = self._written["result", (message.message_id, message.attempt)] = asyncio.Event()
        self._answer(message, provider.name, answer, took_ms, shown)
        await written.wait()

    # -- telling

    def _answer(
        self,
        message: Message,
        provider: str,
        answer: Answer,
        took_ms: float = 0.0,
        shown: tuple[str, ...] = (),
    ) -> None:
        key, customer = (message.message_id, message.attempt), message.customer.encode()
        self._tell(*key, customer, provider, answer, token=("result", key), took_ms=took_ms, shown=shown)

    def _tell(
        self,
        message_id: str,
        attempt: int,
        customer: bytes,
        provider: str,
        answer: Answer,
        token: object = None,
        took_ms: float = 0.0,
        shown: tuple[str, ...] = (),
    ) -> None:
        provider = answer.provider or provider
        DELIVERED.labels(provider, answer.result).inc()
        delivery = Delivery(
            message_id=message_id,
            at=format_instant(round(self._wall() * 1000)),
            attempt=attempt,
            provider=provider,
            result=answer.result,
            detail=answer.detail,
            permanent_address=answer.permanent_address,
            retry_after_seconds=answer.retry_after_seconds,
            gone=tuple(map(self._ids.address, answer.gone)),
            took_ms=took_ms,
            shown=shown,
        )
        self._unsent.append((DELIVERIES, customer, _encode(delivery), token))
        self._send_on()

    def _set_aside(self, tp: TopicPartition, record: Record, error: str) -> None:
        letter = dead_letters.dead_letter(
            id=self._ids.set_aside(tp.topic, str(tp.partition), str(record.offset)),
            reason="bad_message",
            topic=tp.topic,
            partition=tp.partition,
            offset=record.offset,
            value=record.value,
            error=error,
            key=record.key,
            at=format_instant(round(self._wall() * 1000)),
        )
        self._open[tp].add(record.offset)
        token = ("aside", (tp, record.offset))
        self._unsent.append((DEAD_LETTERS, record.key or b"", dead_letters.to_json(letter), token))

    def _send_on(self) -> None:
        while self._unsent and self._writer.send(*self._unsent[0]):
            self._unsent.popleft()

    def _collect(self) -> None:
        for ack in self._writer.acknowledged():
            token: Any = ack.token
            kind, key = token
            if ack.error is not None:
                log.error("the log took no record", extra={"kind": kind, "error": ack.error})
            if (written := self._written.pop(token, None)) is not None:
                written.set()
            if kind == "aside":
                self._open[key[0]].discard(key[1])
            elif kind == "result" and (place := self._under_way.pop(key, None)) is not None:
                self._open[place[0]].discard(place[1])

    def _commit(self) -> None:
        self._commit_at = time.monotonic() + COMMIT_SECONDS
        self._reader.commit({tp: min(self._open[tp], default=offset) for tp, offset in self._next.items()})

    async def _finish(self) -> None:
        deadline = time.monotonic() + FINISH_SECONDS
        lanes = asyncio.gather(*(lane.finish(FINISH_SECONDS) for lane in self._lanes.values()))
        while not lanes.done():
            self._collect()
            self._send_on()
            await asyncio.sleep(0.005)
        while self._unsent and time.monotonic() < deadline:
            self._send_on()
            await asyncio.sleep(0.005)
        self._writer.flush(max(0.1, deadline - time.monotonic()))
        self._collect()
        self._commit()

    def _remember(self, key: Key) -> None:
        self._seen[key] = None
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)
