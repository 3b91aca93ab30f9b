"""PyFlink: a keyed process function with one value of state for each customer, and a timer on event time.

One task slot and one Python process beside the Java machine; state in RocksDB, a checkpoint every ten seconds.  The
source ends where the topic ended when it began, and then every timer fires, also of those whose hour is not over.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
from pyflink.common import Configuration, Types, WatermarkStrategy
from pyflink.common.serialization import SimpleStringSchema
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.connectors.base import DeliveryGuarantee
from pyflink.datastream.connectors.kafka import (
    KafkaOffsetsInitializer,
    KafkaRecordSerializationSchema,
    KafkaSink,
    KafkaSource,
)
from pyflink.datastream.functions import FlatMapFunction, KeyedProcessFunction, RuntimeContext
from pyflink.datastream.state import ValueStateDescriptor

from benchmarks.peers.course import Course
from benchmarks.peers.job import ADDED, ORDERED, REMINDED_AFTER_MS

STEP = Types.TUPLE([Types.STRING(), Types.BOOLEAN()])  # whose, whether something is left in the cart


class Steps(FlatMapFunction):
    """In the Python process, which tells how far it has come."""

    def __init__(self, told: dict[str, Any]) -> None:
        self._told = told

    def open(self, context: RuntimeContext) -> None:
        self._course = Course(**self._told)

    def flat_map(self, value: str) -> Iterator[tuple[str, bool]]:
        self._course.passed()
        event = orjson.loads(value)
        name = event.get("event")
        if name in (ADDED, ORDERED):
            yield event["userId"], name == ADDED


class Carts(KeyedProcessFunction):
    """Until when a cart waits.  Time moves on in steps: an event may come before the timer that was due before it."""

    def open(self, context: RuntimeContext) -> None:
        self._due = context.get_state(ValueStateDescriptor("due", Types.LONG()))

    def process_element(self, value: tuple[str, bool], ctx: KeyedProcessFunction.Context) -> Iterator[str]:
        due = self._due.value()
        if due is not None and due < ctx.timestamp():
            yield reminder(value[0], due)
        if value[1]:
            due = ctx.timestamp() + REMINDED_AFTER_MS
            self._due.update(due)
            ctx.timer_service().register_event_time_timer(due)
        else:
            self._due.clear()

    def on_timer(self, timestamp: int, ctx: KeyedProcessFunction.OnTimerContext) -> Iterator[str]:
        if self._due.value() == timestamp:
            self._due.clear()
            yield reminder(ctx.get_current_key(), timestamp)


def reminder(customer: str, at: int) -> str:
    return orjson.dumps({"customer": customer, "at": at}).decode()


def main() -> None:
    told: dict[str, Any] = json.loads(sys.argv[1])
    settings = Configuration()
    settings.set_string("pipeline.jars", ";".join(jar.as_uri() for jar in (Path(sys.prefix) / "jars").glob("*.jar")))
    settings.set_string("python.executable", sys.executable)
    settings.set_string("python.client.executable", sys.executable)
    settings.set_string("state.backend.type", "rocksdb")
    settings.set_string("execution.checkpointing.dir", (Path(told["folder"]) / "checkpoints").as_uri())
    environment = StreamExecutionEnvironment.get_execution_environment(settings)
    environment.set_parallelism(1)
    environment.enable_checkpointing(10_000)
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers(told["servers"])
        .set_topics(told["topic"])
        .set_group_id(told["group"])
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_bounded(KafkaOffsetsInitializer.latest())
        .set_value_only_deserializer(SimpleStringSchema())
        .build()
    )
    sink = (
        KafkaSink.builder()
        .set_bootstrap_servers(told["servers"])
        .set_delivery_guarantee(DeliveryGuarantee.AT_LEAST_ONCE)
        .set_record_serializer(
            KafkaRecordSerializationSchema.builder()
            .set_topic(told["reminders"])
            .set_value_serialization_schema(SimpleStringSchema())
            .build()
        )
        .build()
    )
    events = environment.from_source(source, WatermarkStrategy.for_monotonous_timestamps(), "events")
    steps = events.flat_map(Steps(told), output_type=STEP)
    steps.key_by(lambda step: step[0], key_type=Types.STRING()).process(Carts(), Types.STRING()).sink_to(sink)
    environment.execute("carts")
    with (Path(told["folder"]) / "marks").open("a") as marks:
        marks.write(f"{time.time()} {told['events']}\n")


if __name__ == "__main__":
    main()
