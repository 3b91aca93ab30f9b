"""A product becomes cheaper for which very many wait, and workers are killed while they are told.

Beside it others go on: how long the answer to their consent takes before and while all are told is a ratio of one run.
"""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from benchmarks.parked import name
from benchmarks.proof.crowd import Appended
from benchmarks.proof.registry import Fault
from benchmarks.proof.trial import Trial
from flows import worker_doors as doors
from state import decisions
from state.catalogue import CATALOGUE, CHANGED
from state.instants import format_instant, parse_instant
from state.records import Record, TopicPartition

KILLS = 3
MEASURED_SECONDS = 20.0
EVENTS_MAX = 100_000  # of the others
TOLD_SECONDS_MAX = 1_800.0
PRICE = 89.99  # what those who wait saw; see `benchmarks.parked`
FLOW, OTHERS = b'"flow":"price_drop"', b'"flow":"welcome"'


def tell_all(trial: Trial) -> None:
    deployment, waiting = trial.deployment, trial.deployment.plan.parked
    trial.is_judged = True  # here: on the live clock nobody waits for the end of the others' carts
    trial.stop_load()
    trial.start_load(most=EVENTS_MAX)
    before = len(trial.stage.decisions.read())
    calm_from = round(trial.stage.now() * 1000)
    trial.wait(MEASURED_SECONDS)
    began = round(trial.stage.now() * 1000)
    _make_cheaper(trial)
    told = _Told(trial, before)
    while told.count() < waiting / 4 and time.time() * 1000 < began + MEASURED_SECONDS * 1000:
        trial.wait(0.2)
    until = round(trial.stage.now() * 1000)
    trial.stop_load()
    trial.start_load(through=_some, most=EVENTS_MAX)
    for number in range(KILLS):
        # However fast they are told, the kills are spread over those that are left.
        _await(trial, told, waiting * (2 + number) // (3 + KILLS))
        trial.notes["kills_on_the_way"] += int(told.count() < waiting)
        trial.kill(trial.chance.choice([each for each in deployment.names if each.startswith("worker")]))
        deployment.await_ready()
    _await(trial, told, waiting)
    trial.stop_load()
    deployment.wait(lambda: not _news(trial), TOLD_SECONDS_MAX, "done with the news")
    trial.notes["told_after_seconds"] += round(trial.stage.now() - began / 1000)
    _judge(trial, told, began)
    ours = [(at, took) for at, took in _others(trial) if at >= calm_from]
    calm = [took for at, took in ours if at < began]
    busy = [took for at, took in ours if began <= at < until]
    if calm and busy:
        trial.notes["others_p99_ms_before"] += _p99(calm)
        trial.notes["others_p99_ms_meanwhile"] += _p99(busy)
        trial.notes["others_p99_percent"] += round(100 * _p99(busy) / max(1, _p99(calm)))


def _some(crowd: Iterable[Appended]) -> Iterator[Appended]:
    """A fifth of the customers: how a backlog of theirs is read is not what is tried here."""
    return (each for each in crowd if each.customer.endswith(("0", "5")))


class _Told:
    """The decisions about those who wait, as they come into the topic."""

    def __init__(self, trial: Trial, place: int) -> None:
        self._trial, self._place = trial, place
        self.faces: dict[str, set[bytes]] = defaultdict(set)
        self.rows = 0

    def count(self) -> int:
        """How many different ones there are so far."""
        records = self._trial.stage.decisions.read()
        new = [raw for raw in records[self._place :] if FLOW in raw]
        self._place, self.rows = len(records), self.rows + len(new)
        for raw in new:
            self.faces[decisions.from_json(raw).decision_id].add(raw)
        return len(self.faces)


def _await(trial: Trial, told: _Told, count: int) -> None:
    deadline = time.monotonic() + TOLD_SECONDS_MAX
    while told.count() < count and time.monotonic() < deadline:
        trial.wait(0.2)


def _judge(trial: Trial, told: _Told, began: int) -> None:
    told.count()
    verdict, waiting = trial.verdict, {name(number) for number in range(trial.deployment.plan.parked)}
    faces = told.faces
    rows = [raw for raw in trial.deployment.decisions_in_store(began) if FLOW in raw]
    stored = {decision.decision_id: (decision.customer, raw) for raw in rows for decision in [decisions.from_json(raw)]}
    heard = Counter(customer for customer, _ in stored.values())
    verdict.hold("a decision never changes", (id for id, each in faces.items() if len(each) > 1))
    verdict.hold("every decision of the topic is in the store", faces.keys() - stored.keys())
    verdict.hold(
        "store and topic tell the same", (id for id, (_, raw) in stored.items() if raw not in faces.get(id, ()))
    )
    verdict.hold("everybody who waits is told", waiting - heard.keys(), "lost")
    verdict.hold("nobody is told twice", (each for each, times in heard.items() if times > 1), "doubled")
    verdict.hold("nobody else is told", heard.keys() - waiting)
    verdict.expected, verdict.decisions = len(waiting), len(stored)
    verdict.repeated_in_topic = told.rows - len(faces)


def _news(trial: Trial) -> int:
    """In how many shards there are news that some have yet to hear."""
    deployment = trial.deployment
    return sum(deployment.beat(each).get("news", 0) for each in deployment.names if each.startswith("worker"))


def _make_cheaper(trial: Trial) -> None:
    """By half, and by half of that in a trial after this one."""
    number = trial.stage.number()
    properties = {"product_id": "p7", "price": round(PRICE / 2 ** (number + 1), 2), "currency": "PLN"}
    at = format_instant(round(trial.stage.now() * 1000))
    word = {"type": "track", "event": CHANGED, "messageId": f"cheaper-{number}", "timestamp": at}
    trial.stage.append_raw(CATALOGUE, [(b"p7", json.dumps({**word, "properties": properties}).encode())])


def _others(trial: Trial) -> list[tuple[int, int]]:
    """When others agreed to hear from the shop, and how many milliseconds later the log had what was decided."""
    reader = doors.open_reader(trial.deployment.settings, "proof")
    try:
        positions = dict(
            reader.beginnings([TopicPartition("decisions", each) for each in reader.partitions("decisions")])
        )
        ends = reader.ends(list(positions))
        reader.assign(positions)
        found: list[tuple[int, int]] = []
        while any(positions[tp] < end for tp, end in ends.items()):
            reader.wait(0.1)
            for fetched in reader.poll(5_000):
                positions[TopicPartition(fetched.topic, fetched.partition)] = fetched.end
                found += [each for record in fetched.records if (each := _took(record)) is not None]
    finally:
        reader.close()
    return found


def _took(record: Record) -> tuple[int, int] | None:
    if record.value is None or OTHERS not in record.value:
        return None
    at = parse_instant(decisions.from_json(record.value).at)
    return at, record.timestamp_ms - at


def _p99(values: list[int]) -> int:
    return sorted(values)[len(values) * 99 // 100]


JUDGED = "everybody who waits is told once, nobody else; store and topic tell the same"
FAULTS = [
    Fault(
        "fan-out",
        "100,000 hear of a product while a worker is killed 3 times",
        JUDGED,
        "waiting",
        tell_all,
        has_news=False,
    ),
    Fault("fan-out-few", "the same with 3,000", JUDGED, "few-waiting", tell_all, has_news=False),
]
