"""What can be seen to be wrong with what `impuls-bench run` was asked for before anything is started."""

from __future__ import annotations

import os
import re
import socket
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from benchmarks.asked import Asked
from benchmarks.live import Setup
from benchmarks.targets import NotTaken, Target, place_of, settings_of_others, to_kafka
from config.faults import ConfigError
from config.load import load
from config.settings import Settings
from flows import worker_doors as doors

MAIL_SECONDS_MAX = 5.0
OF_THE_HARNESS = {
    "data_dir": "The data of a run go under .local, and are deleted after it: leave it out.",
    "secret_file": "The secret of a run goes under .local, and is deleted after it: leave it out.",
    "smtp.host": "Name a mail server of your own with --smtp HOST:PORT.",
    "smtp.port": "Name a mail server of your own with --smtp HOST:PORT.",
}


def check(asked: Asked, out: Path) -> None:
    """Raises `NotTaken`."""
    check_writable("--out", out)
    for fault in _clashes(asked):
        raise NotTaken(fault)
    settings = _settings(asked)
    if asked.topic not in settings.kafka.topics:
        raise NotTaken(
            f"--topic {asked.topic}: this Impuls does not read it. Name one of {', '.join(settings.kafka.topics)}, or "
            f"let it be read: --set kafka.topics={','.join((*settings.kafka.topics, asked.topic))}"
        )
    if asked.mail is not None:
        _check_mail(*asked.mail)
    if not asked.start:
        _check_is_there(settings, asked.topic)


def check_writable(option: str, out: Path) -> None:
    """Before minutes of measuring are lost.  Makes the folder where there is none.  Raises `NotTaken`."""
    if out.suffix == ".html":
        raise NotTaken(f"{option} {out}: that is the page's name. Name the report {out.with_suffix('.json').name}.")
    if out.is_dir():
        raise NotTaken(f"{option} {out}: that is a folder. Name a file in it: {out / 'report.json'}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=out.parent).close()
    except OSError as error:
        why = f"{out.parent} is no folder" if out.parent.exists() and not out.parent.is_dir() else error.strerror
        raise NotTaken(
            f"{option} {out}: no file can be made there ({why}). Name one in a folder that you may write to."
        ) from None


def _clashes(asked: Asked) -> Iterator[str]:
    for name, way_out in OF_THE_HARNESS.items():
        if name in asked.altered:
            yield f"--set {name}: that is the harness's while it measures. {way_out}"
    if asked.file is not None and asked.rate is not None:
        yield "--rate: a recording has a pace of its own. Leave it out, or play it faster with --speed."
    if asked.file is None and asked.speed != 1:
        yield f"--speed: {asked.workload.name} is no recording. Use --rate."
    options = {
        "--set": asked.altered,
        "--smtp": asked.mail,
        "--parked": asked.parked,
        "--workers": asked.workers > 1,
        "--couriers": asked.couriers > 1,
    }
    changing = [name for name, is_given in options.items() if is_given]
    if not asked.start and changing:
        yield (
            f"--no-start: what runs already is not changed by {', '.join(changing)}. Leave it out, and change the "
            "Impuls itself."
        )


def _settings(asked: Asked) -> Settings:
    altered = to_kafka(asked.servers, "check") if asked.servers is not None else {}
    try:
        if not asked.start:
            return settings_of_others(asked.config, Target("", altered))
        setup = Setup(Path("none"), 25, {**asked.altered, **altered})
        return load(asked.config or Path(os.devnull), setup.environment())
    except ConfigError as error:
        raise NotTaken("\n".join(_as_asked(error, asked))) from None


def _as_asked(error: ConfigError, asked: Asked) -> Iterator[str]:
    """The faults with the names that were typed, instead of the variables that they became."""
    typed = {variable(name): f"--set {name}" for name in asked.altered}
    if asked.servers is not None:
        typed[variable("kafka.bootstrap_servers")] = "--bootstrap-servers"
    for fault in error.faults:
        if fault.place not in typed:
            yield str(fault)
            continue
        way_out = re.sub(r"IMPULS_([A-Z0-9_]+)", lambda found: found[1].lower().replace("__", "."), fault.way_out)
        yield f"{typed[fault.place]} {fault.fact}. {way_out}"


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"IMPULS_{name.upper().replace('.', '__')}"


def _check_mail(host: str, port: int) -> None:
    try:
        socket.create_connection((host, port), MAIL_SECONDS_MAX).close()
    except OSError as error:
        raise NotTaken(
            f"--smtp {host}:{port}: nobody takes mails there ({error}). Start the mail server, or leave --smtp out: "
            "then one is started that takes everything."
        ) from None


def _check_is_there(settings: Settings, topic: str) -> None:
    awaited = (topic, "decisions", "deliveries")
    missing = list(awaited)
    if settings.source == "kafka" or (settings.data_dir / "log").is_dir():  # looking would make it
        with closing(doors.open_reader(settings, "benchmark")) as reader:
            missing = [name for name in awaited if not reader.partitions(name)]
    if missing:
        raise NotTaken(
            f"--no-start: {place_of(settings)} has no topics {', '.join(missing)}, so no Impuls is at work there. Name "
            "its configuration with --config, or its Kafka with --bootstrap-servers."
        )
