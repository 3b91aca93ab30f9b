"""What Kafka refuses or breaks costs no other record its place: writers are mended from inside, in order."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing

import pytest

from connectors.kafka import KafkaWriter, open_writer
from connectors.kafka import writer as writing
from connectors.kafka.writer import BYTES_MAX, RECORDS_MAX
from state.records import Ack, LogError, TopicPartition
from tests.brokers import Broker
from tests.connectors.contract import SECONDS_MAX, eventually, read_from_the_beginning, send_all, values
from tests.connectors.kafkas import CLIENTS, KafkaDoor, asking, new_topic

KEYS = 5


@pytest.fixture(params=CLIENTS)
def door(kafka: Broker, request: pytest.FixtureRequest) -> KafkaDoor:
    return KafkaDoor(kafka.servers, request.param)


def numbered(count: int, start: int = 0) -> list[tuple[bytes | None, bytes]]:
    return [(b"%d" % (number % KEYS), b"%d" % number) for number in range(start, start + count)]


def collect(writer: KafkaWriter, count: int) -> list[Ack]:
    acks: list[Ack] = []

    def all_told() -> bool:
        acks.extend(writer.acknowledged())
        return len(acks) >= count

    assert eventually(all_told)
    return acks


def in_order_per_key(found: Sequence[bytes | None]) -> bool:
    """Of each number the first place counts: what a broken client left open may stand twice."""
    first = list(dict.fromkeys(int(value or b"") for value in found))
    return all(mine == sorted(mine) for key in range(KEYS) for mine in [[n for n in first if n % KEYS == key]])


def test_refused_ones_among_thousands_cost_the_others_nothing(door: KafkaDoor) -> None:
    topic = new_topic(door.servers, 3, max_message_bytes=100_000)
    sent = numbered(3000)
    too_large = {500, 501, 1700, 2999}
    records = [(key, b"x" * 200_000 if n in too_large else value) for n, (key, value) in enumerate(sent)]
    with closing(door.writer()) as writer:
        send_all(writer, topic, records)
        acks = collect(writer, len(records))
    assert {ack.token for ack in acks if ack.error} == too_large
    assert all("200001 bytes" in ack.error and topic in ack.error for ack in acks if ack.error)
    assert sorted(int(str(ack.token)) for ack in acks) == list(range(3000)), "each is answered once"
    found = values(read_from_the_beginning(door, topic, 3000 - len(too_large)))
    assert {int(value or b"") for value in found} == set(range(3000)) - too_large
    assert in_order_per_key(found)


def test_a_topic_that_goes_and_comes_back_gets_all_that_waited_in_order(door: KafkaDoor) -> None:
    """A user who deletes a topic and makes it again: no answer is lost, and no record but those that were deleted."""
    topic = new_topic(door.servers)
    with closing(door.writer()) as writer:
        send_all(writer, topic, numbered(100))
        assert len(collect(writer, 100)) == 100
        with asking(door.servers) as client:
            client.delete_topics([topic])
            assert eventually(lambda: list(door.reader().partitions(topic)) == [])
        for number, (key, value) in enumerate(numbered(200, start=100), start=100):
            assert writer.send(topic, key, value, number)
        assert not writer.flush(1.0), "they wait for a topic"
        door.create(topic, 1)
        acks = collect(writer, 200)
        assert {ack.error for ack in acks} == {None}
    found = values(read_from_the_beginning(door, topic, 200))
    assert {int(value or b"") for value in found} == set(range(100, 300))
    assert in_order_per_key(found)


def test_a_name_that_no_topic_can_have_harms_nobody_else(door: KafkaDoor) -> None:
    topic = new_topic(door.servers)
    with closing(door.writer()) as writer:
        assert writer.send("not a name", b"k", b"v", "odd")
        assert writer.send(topic, b"k", b"v", "good")
        answers = {ack.token: ack.error for ack in collect(writer, 2)}
    assert answers["good"] is None
    assert "not a name" in str(answers["odd"])


def test_what_is_handed_over_is_bounded_in_number_and_in_bytes(
    door: KafkaDoor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens at that port: all is kept, as much as there is room for."""
    monkeypatch.setattr(writing, "CLOSE_SECONDS_MAX", 0.2)
    with closing(open_writer("127.0.0.1:1", client=door.client)) as writer:
        taken = 0
        while writer.send("t", b"k", b"v"):
            taken += 1
        assert taken == RECORDS_MAX
        assert not writer.send("t", b"k", b"v")
    with closing(open_writer("127.0.0.1:1", client=door.client)) as writer:
        taken = 0
        while writer.send("t", None, b"x" * (1 << 20)):
            taken += 1
        assert taken == BYTES_MAX >> 20


def test_closing_gives_up_after_a_while(door: KafkaDoor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "CLOSE_SECONDS_MAX", 1.0)
    writer = open_writer("127.0.0.1:1", client=door.client)
    assert writer.send("t", b"k", b"v")
    began = time.monotonic()
    writer.close()
    assert 1 <= time.monotonic() - began < 5


def test_keys_go_where_kafkas_own_clients_put_them(kafka: Broker) -> None:
    """One customer, one partition, whichever client of ours or the shop's wrote the event."""
    topic = new_topic(kafka.servers, 12)
    keys = [b"c%d" % number for number in range(300)]
    for client in CLIENTS:
        with closing(KafkaDoor(kafka.servers, client).writer()) as writer:
            send_all(writer, topic, [(key, client.encode()) for key in keys])
            assert writer.flush(SECONDS_MAX)
    found = read_from_the_beginning(KafkaDoor(kafka.servers), topic, 2 * len(keys))
    places: dict[bytes | None, list[TopicPartition]] = {}
    for tp, records in found.items():
        for record in records:
            places.setdefault(record.key, []).append(tp)
    assert all(len(each) == 2 and len(set(each)) == 1 for each in places.values())
    assert len({tp for each in places.values() for tp in each}) == 12


def test_an_unknown_client_is_refused_with_the_choices(kafka: Broker) -> None:
    with pytest.raises(LogError, match="Choose kafka-python or librdkafka"):
        open_writer(kafka.servers, client="pykafka")
    with pytest.raises(LogError, match="Choose kafka-python or librdkafka"):
        KafkaDoor(kafka.servers, "pykafka").reader()
