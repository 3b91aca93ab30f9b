"""What a worker counts while it decides.  The hot path counts in plain numbers; a scrape reads them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Histogram
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import REGISTRY, Collector

LATENCY_BUCKETS = (0.001, 0.002, 0.003, 0.004, 0.006, 0.008, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1, 5, 30, 300)


class Tally(Collector):
    """A counter with labels that costs one dictionary update."""

    def __init__(self, name: str, text: str, *labels: str) -> None:
        self._name, self._text, self._labels = name, text, labels
        self._counts: dict[tuple[str, ...], int] = {}
        REGISTRY.register(self)

    def inc(self, *labels: str, by: int = 1) -> None:
        counts = self._counts
        counts[labels] = counts.get(labels, 0) + by

    def value(self, *labels: str) -> int:
        return self._counts.get(labels, 0)

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, count in list(self._counts.items()):
            family.add_metric(labels, count)
        yield family

    def describe(self) -> Iterator[CounterMetricFamily]:
        yield CounterMetricFamily(self._name, self._text, labels=self._labels)


EVENTS = Tally("impuls_events", "Records read, by what became of them", "topic", "result")
DECISIONS = Tally("impuls_decisions", "Decisions made", "flow", "outcome", "reason")
DEAD_LETTERS = Tally("impuls_dead_letters", "Records set aside", "reason")
LOST_RESULTS = Tally("impuls_results_lost", "Messages nobody told the result of before they expired")
SHARD_BATCH = Histogram("impuls_shard_batch_seconds", "One batch of inputs of one shard", buckets=LATENCY_BUCKETS)
EVENT_TO_DECISION = Histogram(
    "impuls_event_to_decision_seconds", "From an event's entry in the log to its decision", buckets=LATENCY_BUCKETS
)
EPOCH = Histogram(
    "impuls_epoch_seconds", "From what the sources gave until all of it was worked off", buckets=LATENCY_BUCKETS
)
