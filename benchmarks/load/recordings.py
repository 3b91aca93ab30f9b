"""What really happened, as a load: a recorded topic, or a file of one's own, at its own pace or faster.

A recording names nobody: ids are replaced by keyed hashes whose key is thrown away, and of what people tell about
themselves only locale and time zone stay.  A load made from it gives everybody new names and addresses that do not
exist, so that each repetition meets people who are new, and no real one gets a mail.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.load.plans import Planned
from benchmarks.targets import place_of
from config.settings import Settings
from flows import worker_doors as doors
from state.instants import format_instant, parse_instant
from state.records import TopicPartition

READ_SECONDS = 0.5
EVENTS_MAX = 2_000_000
TOLD_OF_ONESELF = ("locale", "timezone")
IDS = ("userId", "anonymousId", "previousId", "groupId")
_OF_ITS_TIME = ("messageId", "timestamp", "sentAt", "originalTimestamp", "receivedAt")
_NAMES_SOMEBODY = ("email", "phone", "name", "firstName", "lastName", "address", "username", "birthday")
_encode = msgspec.json.Encoder().encode


class NoRecording(ValueError):
    """A file or topic that cannot be played; the message names the place, the fact and the way out."""


@dataclass(frozen=True)
class Recording:
    """JSON lines, plain or .gz, in order of their `timestamp`s, played `speed` times as fast."""

    file: Path
    speed: float
    seconds: float
    warm_seconds: float = 0.0
    run: str = "b"

    def before(self) -> Iterator[tuple[str, str]]:
        yield from ()

    def __iter__(self) -> Iterator[Planned]:
        first, last, end = None, 0, round(1000 * self.seconds)
        for at_ms, event in events_of(self.file):
            first = at_ms if first is None else first
            last = max(last, round((at_ms - first) / self.speed))
            at = last - round(1000 * self.warm_seconds)
            if at >= end:
                return
            who, body = _renamed(event, self.run)
            yield Planned(at, who, body, False)


def length_seconds(file: Path) -> float:
    """From its first event to its last.  Raises `NoRecording`."""
    first = last = None
    for at_ms, _ in events_of(file):
        first = at_ms if first is None else first
        last = at_ms if last is None else max(last, at_ms)
    if first is None or last is None:
        raise NoRecording(f"{file}: there are no events in it. Something `impuls-bench record` wrote will do.")
    return (last - first) / 1000


def events_of(file: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each event with its time in milliseconds.  Raises `NoRecording` at the first line that is none."""
    with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                event = msgspec.json.decode(line, type=dict[str, Any])
                at_ms = parse_instant(event["timestamp"])
                if not (event.get("userId") or event.get("anonymousId")):
                    raise KeyError("userId")
            except (KeyError, TypeError, ValueError) as error:
                raise NoRecording(
                    f"{file}:{number}: no event that can be played ({type(error).__name__}: {error}). Each line is an "
                    "event as JSON, with `timestamp` and `userId` or `anonymousId`."
                ) from None
            yield at_ms, event


def _renamed(event: dict[str, Any], run: str) -> tuple[str, str]:
    """Of nobody who exists: names that begin with the run, and an address where there was one."""
    made = {name: value for name, value in event.items() if name not in _OF_ITS_TIME}
    for name in IDS:
        if isinstance(made.get(name), str):
            made[name] = f"{run}-{made[name]}"
    who = made.get("userId") or made["anonymousId"]
    traits = made.get("traits")
    if isinstance(traits, dict):
        kept = {name: value for name, value in traits.items() if name not in _NAMES_SOMEBODY}
        if "email" in traits:
            kept |= {"email": f"{blake2b(who.encode(), digest_size=8).hexdigest()}@example.invalid", "firstName": "Ola"}
        made["traits"] = kept
    return who, _encode(made)[1:-1].decode()


def record(settings: Settings, topic: str, to: Path, since_ms: int | None, events_max: int = EVENTS_MAX) -> int:
    """Write what a topic holds, from a time or its beginning to its end now, in order of time; how many events.

    Raises `NoRecording` where there is no such topic, or nothing in it.
    """
    key = os.urandom(16)
    found = []
    for at_ms, value in _read(settings, topic, since_ms, events_max):
        try:
            event = msgspec.json.decode(value, type=dict[str, Any])
        except msgspec.DecodeError:
            continue  # what is in the topic and no JSON is no event, and a dead letter there
        if isinstance(event.get("userId") or event.get("anonymousId"), str):
            found.append((at_ms, _encode({**_unnamed(event, key), "timestamp": format_instant(at_ms)})))
    if not found:
        raise NoRecording(
            f"topic {topic} in {place_of(settings)}: no events in it. Name a topic of events, or an earlier --since."
        )
    found.sort(key=lambda each: each[0])
    with gzip.open(to, "wb") if to.suffix == ".gz" else to.open("wb") as out:
        out.writelines(line + b"\n" for _, line in found)
    return len(found)


def _unnamed(event: dict[str, Any], key: bytes) -> dict[str, Any]:
    kept = {name: value for name, value in event.items() if name in ("type", "event", "properties", *IDS)}
    for name in IDS:
        if isinstance(kept.get(name), str):
            kept[name] = blake2b(kept[name].encode(), key=key, digest_size=9).hexdigest()
    traits = event.get("traits")
    if isinstance(traits, dict):
        kept["traits"] = {name: traits[name] for name in TOLD_OF_ONESELF if name in traits}
        if "email" in traits:
            kept["traits"]["email"] = f"{kept.get('userId', kept.get('anonymousId'))}@example.invalid"
    context = event.get("context")
    if isinstance(context, dict):
        kept["context"] = {name: context[name] for name in TOLD_OF_ONESELF if name in context}
    properties = kept.get("properties")
    if isinstance(properties, dict):
        kept["properties"] = {name: value for name, value in properties.items() if name not in _NAMES_SOMEBODY[:2]}
    return kept


def _read(settings: Settings, topic: str, since_ms: int | None, most: int) -> Iterable[tuple[int, bytes]]:
    reader = doors.open_reader(settings, "benchmark")
    try:
        partitions = [TopicPartition(topic, partition) for partition in reader.partitions(topic)]
        if not partitions:
            raise NoRecording(
                f"topic {topic}: there is no such topic in {place_of(settings)}. Name one that is there, or the "
                "configuration of an Impuls that has it with --config."
            )
        beginnings, ends = reader.beginnings(partitions), reader.ends(partitions)
        positions = beginnings if since_ms is None else reader.at_time(partitions, since_ms)
        reader.assign(positions)
        positions, taken = dict(positions), 0
        while any(positions[tp] < ends[tp] for tp in partitions) and taken < most:
            reader.wait(READ_SECONDS)
            for fetched in reader.poll(5_000):
                positions[TopicPartition(fetched.topic, fetched.partition)] = fetched.end
                taken += len(fetched.records)
                yield from ((each.timestamp_ms, each.value) for each in fetched.records if each.value)
    finally:
        reader.close()
