"""What a worker counts while it decides.  The hot path counts in plain numbers; a scrape reads them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
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


class Spread(Collector):
    """A histogram that costs one search and two additions; read by a scrape while it is counted."""

    def __init__(self, name: str, text: str) -> None:
        self._name, self._text = name, text
        self._counts = [0] * (len(LATENCY_BUCKETS) + 1)
        self._sum = 0.0
        REGISTRY.register(self)

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(LATENCY_BUCKETS, seconds)] += 1
        self._sum += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        bounds = (*map(str, LATENCY_BUCKETS), "+Inf")
        buckets = list(zip(bounds, accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(self._name, self._text, buckets=buckets, sum_value=self._sum)

    def describe(self) -> Iterator[HistogramMetricFamily]:
        yield HistogramMetricFamily(self._name, self._text)


EVENTS = Tally("impuls_events", "Records read, by what became of them", "topic", "result")
DECISIONS = Tally("impuls_decisions", "Decisions made", "flow", "outcome", "reason")
SHADOWED = Tally("impuls_shadow_decisions", "Decisions of versions in the shadow", "flow", "outcome", "reason")
DEAD_LETTERS = Tally("impuls_dead_letters", "Records set aside", "reason")
CLAIMS = Tally("impuls_claims", "What became of claims on anonymous ids", "result")
LOST_RESULTS = Tally("impuls_results_lost", "Messages nobody told the result of before they expired")
SHARD_BATCH = Spread("impuls_shard_batch_seconds", "One batch of inputs of one shard")
EVENT_TO_DECISION = Spread("impuls_event_to_decision_seconds", "From an event's entry in the log to its decision")
EPOCH = Spread("impuls_epoch_seconds", "From what the sources gave until all of it was worked off")
