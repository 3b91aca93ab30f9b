"""When Kafka's end of a partition counts as known, and what of kafka-python that knowledge rests on.

`connectors/kafka/watched.py` reaches into kafka-python. An upgrade that changes what it relies on fails here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import kafka as library  # type: ignore[import-untyped]
import pytest

from connectors.kafka import fetch_kafka_python
from connectors.kafka.fetch_kafka_python import KafkaPythonFetching
from connectors.kafka.watched import WatchedFetcher
from state.records import TopicPartition
from tests.brokers import Broker
from tests.connectors.contract import all_of, append, eventually, polls
from tests.connectors.kafkas import CLIENTS, KafkaDoor, Transactions, new_topic


class Overheard(WatchedFetcher):
    """Writes down what kafka-python does, in order."""

    def __init__(self, *given: Any, **configs: Any) -> None:
        super().__init__(*given, **configs)
        self.lines: list[tuple[str, int, int, dict[TopicPartition, int], Any]] = []

    def _create_fetch_requests(self) -> Any:
        requests = super()._create_fetch_requests()
        for node, (_, offsets) in requests.items():
            self.lines.append(("ask", threading.get_ident(), node, dict(offsets), None))
        return requests

    def _handle_fetch_response(self, node_id: int, fetch_offsets: Any, send_time: float, response: Any) -> None:
        self.lines.append(("answer", threading.get_ident(), node_id, dict(fetch_offsets), response))
        super()._handle_fetch_response(node_id, fetch_offsets, send_time, response)


@pytest.fixture
def topic(kafka: Broker) -> str:
    return new_topic(kafka.servers, 3)


@pytest.fixture
def fetching(kafka: Broker, monkeypatch: pytest.MonkeyPatch) -> Iterator[KafkaPythonFetching]:
    monkeypatch.setattr(fetch_kafka_python, "WatchedFetcher", Overheard)
    with closing(KafkaPythonFetching(kafka.servers, {}, lambda: None)) as client:
        yield client


def lines(fetching: KafkaPythonFetching) -> list[Any]:
    watched = fetching._watched
    assert isinstance(watched, Overheard)
    return watched.lines


def turn(fetching: KafkaPythonFetching) -> None:
    """As the reader's thread does."""
    fetching.fetch(0.1, 1000)
    for tp, doubt in dict(fetching.doubtful()).items():
        fetching.settle(tp, doubt, 0)


def become_quiet(fetching: KafkaPythonFetching, positions: dict[TopicPartition, int]) -> None:
    fetching.assign(positions)

    def is_quiet() -> bool:
        turn(fetching)
        return set(fetching.quiet()) == set(positions)

    assert eventually(is_quiet)


def test_the_version_is_one_that_was_looked_at() -> None:
    assert library.__version__.startswith("3."), "read watched.py against the new version before allowing it"


def test_a_fetch_is_asked_and_answered_on_one_thread_and_one_at_a_time(
    fetching: KafkaPythonFetching, topic: str
) -> None:
    become_quiet(fetching, {TopicPartition(topic, partition): 0 for partition in range(3)})
    for _ in range(5):
        turn(fetching)
    heard = lines(fetching)
    assert len({thread for _, thread, *_ in heard}) == 1
    assert threading.get_ident() not in {thread for _, thread, *_ in heard}
    kinds = [kind for kind, *_ in heard]
    assert len(kinds) > 6
    assert kinds == ["ask", "answer"] * (len(kinds) // 2) + ["ask"] * (len(kinds) % 2)
    for (_, _, node, asked, _), (_, _, answering, answered_for, _) in zip(heard[::2], heard[1::2], strict=False):
        assert (node, asked) == (answering, answered_for)


def test_an_answer_leaves_out_what_has_no_news_and_nothing_else(fetching: KafkaPythonFetching, topic: str) -> None:
    """Kafka's fetch sessions: what is left out counts as still at the end that was told last."""
    tps = [TopicPartition(topic, partition) for partition in range(3)]
    become_quiet(fetching, dict.fromkeys(tps, 0))
    shop = Transactions(fetching._consumer.config["bootstrap_servers"][0])
    shop.begin(topic, [b"v"], partition=1)

    def told_of_1() -> bool:
        turn(fetching)
        return any(_told(line) == {(topic, 1)} for line in lines(fetching) if line[0] == "answer")

    assert eventually(told_of_1), "the end moved, though nothing of it may be read"
    began, before = time.time(), len(lines(fetching))

    def others_are_quiet_again() -> bool:
        turn(fetching)
        return all(fetching.quiet()[tp].began > began for tp in (tps[0], tps[2]))

    assert eventually(others_are_quiet_again)
    assert fetching.quiet()[tps[1]].began < began
    assert [_told(line) for line in lines(fetching)[before:] if line[0] == "answer" and _told(line)] == []
    shop.commit()

    def is_quiet_behind_the_marker() -> bool:
        turn(fetching)
        return fetching.quiet()[tps[1]].offset == 2

    assert eventually(is_quiet_behind_the_marker)


def _told(line: Any) -> set[tuple[str, int]]:
    return {(topic.topic, each.partition_index) for topic in line[4].responses for each in topic.partitions}


def test_nothing_is_quiet_before_its_leader_was_asked_where_it_ends(fetching: KafkaPythonFetching, topic: str) -> None:
    tp = TopicPartition(topic, 0)
    fetching.assign({tp: 0})

    def has_doubt_and_answers() -> bool:
        fetching.fetch(0.1, 1000)
        return tp in fetching.doubtful() and sum(kind == "answer" for kind, *_ in lines(fetching)) > 3

    assert eventually(has_doubt_and_answers)
    assert tp not in fetching.quiet()
    fetching.settle(tp, fetching.doubtful()[tp] - 1, 0)
    assert tp in fetching.doubtful(), "an answer to an older doubt does not settle a newer one"
    fetching.settle(tp, fetching.doubtful()[tp], 0)
    assert eventually(lambda: fetching.fetch(0.1, 1000) == [] and tp in fetching.quiet())


@pytest.mark.parametrize("client", CLIENTS)
def test_idle_goes_on_after_each_record(kafka: Broker, client: str, topic: str) -> None:
    door = KafkaDoor(kafka.servers, client)
    with closing(door.reader()) as reader:
        reader.assign(reader.beginnings(all_of(reader, topic)))
        for number in range(4):
            append(door, topic, [(b"k", b"%d" % number)])
            acknowledged_at = time.time()
            given = False
            for fetched in polls(reader):
                given = given or bool(fetched.records)
                if fetched.idle_at is not None and fetched.idle_at > acknowledged_at and fetched.end == number + 1:
                    break
            assert given, "nothing is idle as of a time when there was something that is not given out yet"
