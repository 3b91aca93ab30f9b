"""The open loop: on time when it can be, and honest when it cannot."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.histograms import Histogram
from benchmarks.live import Use
from benchmarks.load.generator import CLICKS, Generator, GeneratorFailed, generate
from benchmarks.load.plans import Load
from benchmarks.load.workloads import workload
from benchmarks.repetition import Sample
from benchmarks.runs import costs
from config.load import load as load_settings
from connectors.log import LogReader, create_topics
from state.records import Ack, TopicPartition, TopicSpec
from tests.benchmarks.loads import SENT, repetition


class SlowLog:
    """A log that takes a while for every record."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def send(self, topic: str, key: bytes | None, value: bytes, token: object = None) -> bool:
        until = time.perf_counter() + self._seconds
        while time.perf_counter() < until:
            pass
        return True

    def acknowledged(self) -> Sequence[Ack]:
        return ()

    def wait(self, seconds: float) -> None: ...

    def flush(self, seconds: float) -> bool:
        return True

    def close(self) -> None: ...


def test_a_generator_that_falls_behind_says_so_and_by_how_much() -> None:
    plan = Load(workload("steady"), rate=1_000, customers=10, seconds=0.5)
    sent = generate(SlowLog(0.002), CLICKS, plan, round(time.time() * 1000))
    assert not sent.kept_its_rate
    assert "could not keep its rate" in next(sent.warnings())
    assert sent.behind_ms_max > 200  # the last is due after half a second, and takes its turn after a whole one
    assert Histogram.read(sent.behind).percentile(0.5) > 50


def test_what_cannot_be_appended_in_twice_the_time_is_left_and_counted() -> None:
    plan = Load(workload("steady"), rate=1_000, customers=10, seconds=0.5)
    sent = generate(SlowLog(0.02), CLICKS, plan, round(time.time() * 1000))
    assert sent.planned == 500
    assert sent.unsent > 300
    assert "were not appended at all" in next(sent.warnings())


def test_a_load_that_was_not_kept_up_is_told() -> None:
    assert SENT.kept_its_rate
    late = replace(SENT, late=20, behind_ms_max=900.0, ended_behind_ms=12.0)
    few = replace(SENT, appended=900)
    assert "20 of 1,000 events were appended over 50 ms late, the worst 900 ms, the last 12 ms; " in next(
        late.warnings()
    )
    assert "count from when they were due (no coordinated omission)" in next(late.warnings())
    assert "900 of 1,000 events were appended in time" in next(few.warnings())
    assert "of 3 mails 1 were not accepted" in next(repetition([(0, 1.0), (1, 2.0)], mails=3).warnings())
    assert next(repetition([], mails=3).warnings()).endswith("there are no latencies of mails")


def test_a_load_that_was_more_than_impuls_can_carry_is_told() -> None:
    kept, behind = repetition([(1_900, 1_000.0)] * 99), repetition([(1_900, 1_200.0)] * 99)
    assert list(kept.warnings()) == []
    assert next(behind.warnings()).startswith("Impuls was behind: 99 of 99 were done over a second after the load had")
    uses = {"worker-0": Use(1.0, 10.0, 10.0), "courier-0": Use(1.0, 10.0, 10.0)}
    samples = [Sample(0.0, uses), Sample(2.0, uses)]
    assert len(list(costs([replace(kept, samples=samples)]))) == 3
    assert [each.name for each in costs([replace(behind, samples=samples)])] == ["worker_rss_mib"]


def test_all_of_a_plan_stands_in_the_log_each_event_with_the_moment_it_was_due(tmp_path: Path) -> None:
    environment = {"IMPULS_DATA_DIR": str(tmp_path), "IMPULS_SECRET_FILE": str(tmp_path / "secret")}
    settings = load_settings(None, environment)
    create_topics(settings.data_dir / "log", [TopicSpec(CLICKS, 1, 1)])
    plan = Load(workload("steady"), rate=100, customers=50, seconds=0.5, warm_seconds=0.2)
    with Generator(settings, plan) as generator:
        began = generator.go()
        sent = generator.sent()
    assert (sent.planned, sent.mails, sent.unsent) == (50, 10, 0)
    reader = LogReader(settings.data_dir / "log", "test")
    place = TopicPartition(CLICKS, 0)
    reader.assign({place: 0})
    values = [record.value or b"" for fetched in reader.poll(10_000) for record in fetched.records]
    reader.close()
    assert len(values) == len(list(plan.before())) + 70
    assert began % 1000 == int(values[-50].partition(b'"timestamp":"')[2][20:23])


def test_a_generator_that_ends_early_tells_why(tmp_path: Path) -> None:
    settings = load_settings(None, {"IMPULS_DATA_DIR": str(tmp_path), "IMPULS_SECRET_FILE": str(tmp_path / "secret")})
    create_topics(settings.data_dir / "log", [TopicSpec(CLICKS, 1, 1)])
    nobody = Load(workload("steady"), rate=100, customers=0, seconds=0.5)
    with Generator(settings, nobody) as generator:
        generator.go()
        with pytest.raises(GeneratorFailed, match="ended: ValueError"):
            generator.sent()
