"""Who takes part: Impuls, its peers, the bare loops, and what each one promises and was set to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from benchmarks.peers.job import Promise

IN_MEMORY = "none: in memory, a crash starts from the beginning"
AT_LEAST_ONCE = "at least once: after a crash, events may be counted and reminders sent twice"
EXACTLY_ONCE = "exactly once, by Kafka's transactions"


@dataclass(frozen=True)
class Peer:
    """`size`: `few` or `some` for who is too slow for all of the customers.  `client` is only Impuls's to choose."""

    name: str  # as `--only` knows it
    title: str
    client: Literal["kafka-python", "librdkafka", "aiokafka", "Java"]
    guarantee: str
    settings: str
    promise: Promise = Promise.ON_TIME
    environment: str = ""  # none for Impuls, which is measured where the benchmark runs
    package: str = ""
    module: str = ""
    variant: str = ""
    size: Literal["all", "some", "few"] = "all"


_OURS = "decisions exactly once, in its own store; topics at least once, with ids to tell a repeated record by"
_OUR_SETTINGS = (
    "its full job (dedup, a window, timers, guards, decisions, encryption), 64 shards, defaults but for a larger cache"
)
_BARE = "offsets and customers in one write; what is due in memory only"

LINEUP = [
    Peer("impuls", "Impuls", "kafka-python", _OURS, _OUR_SETTINGS),
    Peer("impuls-librdkafka", "Impuls", "librdkafka", _OURS, _OUR_SETTINGS),
    Peer(
        "quix",
        "Quix Streams",
        "librdkafka",
        AT_LEAST_ONCE,
        "state per key in RocksDB with a changelog, defaults",
        Promise.WHEN_SHE_COMES_BACK,
        "quix",
        "quixstreams",
        "benchmarks.peers.peer_quix",
    ),
    Peer(
        "quix-exactly-once",
        "Quix Streams, exactly-once",
        "librdkafka",
        EXACTLY_ONCE,
        "the same with processing_guarantee=exactly-once",
        Promise.WHEN_SHE_COMES_BACK,
        "quix",
        "quixstreams",
        "benchmarks.peers.peer_quix",
        "exactly-once",
    ),
    Peer(
        "quix-sessions",
        "Quix Streams, session windows",
        "librdkafka",
        AT_LEAST_ONCE,
        "views filtered out, session windows closed by the partition's time, defaults",
        Promise.ON_TIME,
        "quix",
        "quixstreams",
        "benchmarks.peers.peer_quix_sessions",
        size="few",
    ),
    Peer(
        "faust",
        "Faust (faust-streaming)",
        "aiokafka",
        AT_LEAST_ONCE,
        "table in RocksDB with a changelog; orjson, uvloop, no web server",
        Promise.WHEN_SHE_COMES_BACK,
        "faust",
        "faust-streaming",
        "benchmarks.peers.peer_faust",
        size="few",
    ),
    Peer(
        "bytewax",
        "Bytewax alone",
        "librdkafka",
        IN_MEMORY,
        "stock KafkaSource, views filtered out, session windows, no recovery store",
        Promise.AND_AT_THE_END,
        "bytewax",
        "bytewax",
        "benchmarks.peers.peer_bytewax",
    ),
    Peer(
        "flink",
        "PyFlink",
        "Java",
        "at least once: state exactly once by checkpoints, reminders since the last one may be sent twice",
        "keyed process function, timers on event time, state in RocksDB, a checkpoint every 10 s",
        Promise.AND_AT_THE_END,
        "flink",
        "apache-flink",
        "benchmarks.peers.peer_flink",
        size="some",
    ),
    Peer(
        "bare-kafka-python",
        "bare loop",
        "kafka-python",
        _BARE,
        "consume, decode (orjson), one RocksDB write batch per poll and partition",
        Promise.ON_TIME,
        "bare",
        "kafka-python",
        "benchmarks.peers.peer_bare_kafka_python",
    ),
    Peer(
        "bare-librdkafka",
        "bare loop",
        "librdkafka",
        _BARE,
        "consume, decode (orjson), one RocksDB write batch per poll and partition",
        Promise.ON_TIME,
        "bare",
        "confluent-kafka",
        "benchmarks.peers.peer_bare_librdkafka",
    ),
]

# key of RESULT: whose events per CPU-second over whose
RATIOS = {
    "vs_quix_kafka_python": ("impuls", "quix"),
    "vs_quix_librdkafka": ("impuls-librdkafka", "quix"),
    "vs_faust": ("impuls-librdkafka", "faust"),
    "vs_bare_kafka_python": ("impuls", "bare-kafka-python"),
    "vs_bare_librdkafka": ("impuls-librdkafka", "bare-librdkafka"),
}
