"""kafka-python's fetcher, watched: what each fetch proves about the partitions it asked for.

The only place that reaches into kafka-python, whose consumer tells neither when a fetch came back nor that it found
nothing. `tests/connectors/test_kafka_quiet.py` fails where a new version of it breaks what is relied on here:

- requests are made (`_create_fetch_requests`) and sent in one step on the client's own thread, at most one under way
  per broker, and each answer comes to `_handle_fetch_response` with the offsets that were asked for;
- within a fetch session the broker leaves out of its answer the partitions that have nothing new, and never leaves
  one out whose high watermark changed (KIP-227).

A finding of nothing counts only where the offset is not below the high watermark the broker last told: an answer may
be full before each partition had its turn, and behind a transaction that is still open there are records, though
nobody may have them yet. A leader that is new may for a moment not know its own end (KIP-207): `doubts` until someone
asks it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from kafka.consumer.fetcher import Fetcher  # type: ignore[import-untyped]

from connectors.kafka.fetching import Quiet
from state.records import TopicPartition

_THROTTLED = -1


class WatchedFetcher(Fetcher):  # type: ignore[misc]
    """Keeps the last proof for each partition. Written by the client's thread, read by any."""

    def __init__(self, client: Any, subscriptions: Any, *, notice: Callable[[], None], **configs: Any) -> None:
        super().__init__(client, subscriptions, **configs)
        self.quiet: dict[TopicPartition, Quiet] = {}
        self.answered: dict[TopicPartition, float] = {}
        self.doubts: dict[TopicPartition, int] = {}
        self._notice = notice
        self._floors: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}  # high watermarks
        self._nodes: dict[TopicPartition, int] = {}
        self._began: dict[int, float] = {}
        self._doubt = 0

    def settle(self, tp: TopicPartition, doubt: int, end: int) -> None:
        if self.doubts.get(tp) == doubt:
            self._floors[tp] = end
            self.doubts.pop(tp, None)

    def _create_fetch_requests(self) -> Any:
        began = time.time()
        requests = super()._create_fetch_requests()
        for node in requests:
            self._began[node] = began
        return requests

    def _handle_fetch_response(self, node_id: int, fetch_offsets: Any, send_time: float, response: Any) -> None:
        session = self._session_handlers.get(node_id)
        whole = session is None or session.next_metadata.is_full
        super()._handle_fetch_response(node_id, fetch_offsets, send_time, response)
        if response.error_code == 0 and response.session_id != _THROTTLED:
            self._learn(node_id, fetch_offsets, whole, response)

    def _learn(self, node_id: int, fetch_offsets: Any, whole: bool, response: Any) -> None:
        told = {(topic.topic, each.partition_index): each for topic in response.responses for each in topic.partitions}
        now = time.monotonic()
        for asked, offset in fetch_offsets.items():
            tp = TopicPartition(asked.topic, asked.partition)
            each = told.get((tp.topic, tp.partition))
            if each is None and whole:
                continue
            if whole or self._nodes.get(tp) != node_id:
                self._nodes[tp] = node_id
                self._doubt += 1
                self.doubts[tp] = self._doubt
            if each is not None:
                if each.error_code != 0:
                    continue
                self._ends[tp] = each.high_watermark
            self.answered[tp] = now
            if each is not None and (each.records or _diverges(each)):
                continue
            if tp not in self._ends or offset < max(self._ends[tp], self._floors.get(tp, 0)):
                continue
            if tp not in self.doubts:
                self.quiet[tp] = Quiet(offset, self._began[node_id])
        self._notice()

    def forget(self, tp: TopicPartition) -> None:
        for kept in (self.quiet, self.answered, self.doubts, self._floors, self._ends, self._nodes):
            kept.pop(tp, None)


def _diverges(each: Any) -> bool:
    epoch = each.diverging_epoch
    return epoch is not None and epoch.end_offset >= 0
