"""Kafka that is frozen, killed, cut off, slow, narrow, shortened, or given more partitions."""

from __future__ import annotations

import shutil
import signal
import time

from kafka import KafkaAdminClient  # type: ignore[import-untyped]
from kafka import TopicPartition as KafkaPartition

from benchmarks.proof.broker import Broker, ids_in, partition_of
from benchmarks.proof.crowd import CLICKS
from benchmarks.proof.deployment import Failed
from benchmarks.proof.proxy import Proxy
from benchmarks.proof.registry import Fault
from benchmarks.proof.trial import Trial
from state.records import TopicPartition

CAUGHT_UP = "nothing is decided without what could not be read; all is caught up with afterwards, as the oracle says"


def broker_of(trial: Trial) -> Broker:
    if trial.stage.broker is None:
        raise Failed("this stage has no broker")
    return trial.stage.broker


def proxy_of(trial: Trial) -> Proxy:
    return broker_of(trial).proxy


def freeze(trial: Trial) -> None:
    trial.pause(0.3, 1.0)
    with broker_of(trial).frozen():
        trial.pause(1.0, 6.0)
    trial.pause(0.3, 1.0)


def kill(trial: Trial) -> None:
    trial.pause(0.3, 1.0)
    broker = broker_of(trial)
    broker.kill()
    trial.pause(0.0, 2.0)
    broker.start()
    trial.pause(0.5, 1.0)


def cut(trial: Trial) -> None:
    """Resets, again and again, in the middle of whatever is under way."""
    for _ in range(trial.chance.randint(1, 6)):
        trial.pause(0.1, 0.6)
        trial.notes["connections_cut"] += proxy_of(trial).cut()
    trial.pause(0.3, 0.6)


def split_off(trial: Trial) -> None:
    """Neither an answer nor a reset: the network between is gone for a while, then the connections too."""
    trial.pause(0.3, 0.8)
    proxy = proxy_of(trial)
    proxy.silent = True
    trial.pause(1.0, 5.0)
    proxy.refuses = True
    proxy.cut()
    trial.pause(0.2, 2.0)
    proxy.well()
    trial.pause(0.3, 0.6)


def delay(trial: Trial) -> None:
    proxy_of(trial).latency_seconds = trial.chance.uniform(0.05, 0.6)
    trial.pause(2.0, 4.0)
    proxy_of(trial).well()


def narrow(trial: Trial) -> None:
    proxy_of(trial).bytes_per_second = trial.chance.uniform(20_000, 200_000)
    trial.pause(2.0, 4.0)
    proxy_of(trial).well()


def add_partitions(trial: Trial) -> None:
    """Customers whose key then leads elsewhere, too."""
    trial.pause(1.0, 2.0)
    trial.stop_load()
    broker = broker_of(trial)
    before = _count(broker)
    client = KafkaAdminClient(bootstrap_servers=broker.servers)
    try:
        client.create_partitions({CLICKS: before + 1})
    finally:
        client.close()
    deadline = time.monotonic() + 60
    while _count(broker) == before:
        if time.monotonic() > deadline:
            raise Failed(f"{CLICKS} has no more than its {before} partitions")
        time.sleep(0.1)
    known = {each.get("userId") for each in trial.events}
    trial.go_on()
    trial.pause(2.0, 4.0)
    if trial.chance.random() < 0.5:
        trial.kill(trial.chance.choice(trial.deployment.names))
        trial.pause(0.5, 1.0)
    trial.stop_load()
    came_again = known & {each.get("userId") for each in trial.events[-200:]}
    moved = (id for id in came_again if id and partition_of(id, before) != partition_of(id, before + 1))
    trial.notes["keys_moved"] += sum(1 for _ in moved)


def expire(trial: Trial) -> None:
    """Records that no shard has read are deleted: while nothing runs, or under workers that were too slow."""
    trial.pause(0.5, 1.0)
    trial.play_out()
    trial.settle()
    trial.judge()  # of all that happened before; what follows is about nobody
    deployment, broker = trial.deployment, broker_of(trial)
    stopped = trial.chance.random() < 0.5
    if stopped:
        deployment.stop()
    else:
        for pid in deployment.pids().values():
            deployment.signal_child(pid, signal.SIGSTOP)
    partitions = _count(broker)
    partition = trial.chance.randrange(partitions)
    end = _end(broker, partition)
    nobody = next(ids_in(partition, partitions, "nobody")).encode()
    for count in (1, trial.chance.randint(1, 40)):
        trial.stage.append_raw(CLICKS, [(nobody, b"{}")] * count)
        trial.wait(1.0)  # whoever still waits at the broker has the first, and not the others
    _delete_to(broker, partition, _end(broker, partition))
    place = deployment.said.stat().st_size
    if stopped:
        deployment.launch()
        code = deployment.wait_for_end(60)
        trial.verdict.hold("a start refuses to skip what was deleted unread", [] if code else [f"exit {code}"])
    else:
        for pid in deployment.pids().values():
            deployment.signal_child(pid, signal.SIGCONT)
    words = f"{CLICKS}/{partition}"
    deadline = time.monotonic() + 60
    while not (told := _names(trial, place, words)) and time.monotonic() < deadline:
        time.sleep(0.2)
    trial.verdict.hold(
        "what was deleted unread is named, with its place and the way out",
        [] if told else [f"{words} from {end}: nothing is said"],
    )
    deployment.end()
    shutil.rmtree(deployment.settings.data_dir)  # the way out that it names: start anew
    deployment.config.write_text(deployment.config.read_text().replace('at = "earliest"', 'at = "latest"'))
    deployment.start()
    trial.is_judged = True


def _names(trial: Trial, place: int, words: str) -> bool:
    said = [str(line) for line in trial.deployment.said_since(place)]
    return any(words in line and "deleted unread" in line for line in said)


def _count(broker: Broker) -> int:
    client = KafkaAdminClient(bootstrap_servers=broker.servers)
    try:
        return len(client.describe_topics([CLICKS])[0]["partitions"])
    finally:
        client.close()


def _end(broker: Broker, partition: int) -> int:
    from connectors.kafka import open_reader

    reader = open_reader(broker.servers, group="", security={}, client="kafka-python")
    try:
        tp = TopicPartition(CLICKS, partition)
        return reader.ends([tp])[tp]
    finally:
        reader.close()


def _delete_to(broker: Broker, partition: int, offset: int) -> None:
    client = KafkaAdminClient(bootstrap_servers=broker.servers)
    try:
        client.delete_records({KafkaPartition(CLICKS, partition): offset})
    finally:
        client.close()


FAULTS = [
    Fault("kafka-frozen", "the broker stopped (SIGSTOP) for seconds", CAUGHT_UP, "kafka", freeze),
    Fault("kafka-killed", "kill -9 of the broker, and a start", CAUGHT_UP, "kafka", kill),
    Fault("kafka-cut", "connections reset in the middle of fetches and sends", CAUGHT_UP, "kafka", cut),
    Fault("kafka-split", "a network that swallows all, then refuses connections", CAUGHT_UP, "kafka", split_off),
    Fault("kafka-slow", "50 to 600 ms each way", CAUGHT_UP, "kafka", delay),
    Fault("kafka-narrow", "20 to 200 kB a second", CAUGHT_UP, "kafka", narrow),
    Fault(
        "kafka-partitions",
        "a partition added under load, so that keys move",
        "a key that moved keeps its order: every decision is the oracle's, once",
        "kafka",
        add_partitions,
    ),
    Fault(
        "kafka-expired",
        "records deleted that no shard has read, at a stop or under frozen workers",
        "refused with a message that names the partition and the way out; nothing is skipped",
        "kafka",
        expire,
    ),
]
