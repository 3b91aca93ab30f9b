"""Where the events go: the embedded log, a Kafka of the run's own, or one's own Kafka, and which Impuls is measured.

On a Kafka of others an Impuls started here would write `messages`, and a courier at work there would send them.  So a
cluster is taken only when none of these topics is there, or when an earlier run has left its mark.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from benchmarks.live import ROOT
from config.load import load
from config.settings import Settings
from flows import worker_doors as doors
from state.records import TopicSpec

MARK = "impuls-bench"
PARTITIONS = 8

Kind = Literal["log", "kafka"]


class NotTaken(RuntimeError):
    """What was asked for cannot be measured; the message names the place, the fact and the way out."""


@dataclass(frozen=True)
class Target:
    """`altered`: settings that lead there.  `is_ours` when the harness starts Impuls itself."""

    says: str
    altered: Mapping[str, str] = field(default_factory=dict)
    is_ours: bool = True


@contextmanager
def open_target(kind: Kind, servers: str | None, run: str, *, start: bool = True) -> Iterator[Target]:
    """Raises `NotTaken`."""
    if servers is not None:
        yield Target(f"Kafka at {servers}", to_kafka(servers, run), is_ours=start)
    elif not start:
        yield Target("the deployment of the configuration", is_ours=False)
    elif kind == "log":
        yield Target("embedded log")
    else:
        with own_broker() as at:
            yield Target("Apache Kafka, one node, on this machine", to_kafka(at, run))


@contextmanager
def own_broker() -> Iterator[str]:
    """A real Kafka on a free port, gone afterwards: its bootstrap servers."""
    if not (ROOT / "deploy" / "kafka" / "start.sh").is_file():
        raise NotTaken(
            "--target kafka: the script that starts a broker is in the repository, not in an installed package. Run it "
            "from a clone, or name a Kafka that runs with --bootstrap-servers."
        )
    from benchmarks.proof.broker import broker

    with broker() as at:
        yield at


def to_kafka(servers: str, run: str) -> dict[str, str]:
    return {
        "source": "kafka",
        "kafka.bootstrap_servers": servers,
        "kafka.group": f"{MARK}-{run}",
        "start.at": "latest",
    }


def place_of(settings: Settings) -> str:
    """Which log that is, in a message."""
    if settings.source == "kafka":
        return f"Kafka at {settings.kafka.bootstrap_servers}"
    return f"the embedded log in {settings.data_dir / 'log'}"


def settings_of_others(config: Path | None, target: Target) -> Settings:
    """The configuration of an Impuls that runs already; this one's environment counts, as it does there."""
    named = {f"IMPULS_{name.upper().replace('.', '__')}": value for name, value in target.altered.items()}
    return load(config, {**os.environ, **named})


def make_topics(settings: Settings) -> None:
    """Make the input topics where they are missing, and ours.  Raises `NotTaken` on a cluster that others use."""
    if settings.source == "kafka":
        from connectors.kafka import create_topics

        check_that_nobody_uses(settings)
        specs = [TopicSpec(name, PARTITIONS, 1) for name in (*doors.input_topics(settings), MARK)]
        create_topics(settings.kafka.bootstrap_servers, settings.kafka.security, specs)
    doors.make_topics(settings)


def check_that_nobody_uses(settings: Settings) -> None:
    """Raises `NotTaken` where topics of ours are there and no earlier benchmark made them."""
    reader = doors.open_reader(settings, MARK)
    try:
        if reader.partitions(MARK):
            return
        there = [name for name in (*doors.input_topics(settings), *OURS) if reader.partitions(name)]
    finally:
        reader.close()
    if there:
        raise NotTaken(
            f"the log at {settings.kafka.bootstrap_servers}: it has the topics {', '.join(there)} already, and no mark "
            "of an earlier benchmark. An Impuls may be at work there, and its couriers would send the benchmark's "
            "messages. Name another cluster; or measure the one that is at work with --no-start; or, if nobody else "
            f"uses these topics, make a topic called {MARK}."
        )


OURS = ("messages", "decisions", "deliveries", "dead-letters", "internal")
