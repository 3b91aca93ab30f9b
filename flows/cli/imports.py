"""`impuls import`: a known data set becomes events, in a file or in the log."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from config import Settings
from flows import worker_doors as doors
from flows.cli.options import Config, fail, settings_of
from flows.cli.progress import Bar
from flows.imports import FORMATS, ImportFault, import_events, write_file
from state.catalogue import CATALOGUE, is_told_to_all
from state.records import Writer

TOPIC = "clickstream"
AGAIN = "Importing again does no harm: what comes twice counts once."


def import_(
    format: Annotated[
        str | None, typer.Argument(metavar="FORMAT", help="Which data set it is; --list has all.")
    ] = None,
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE…", help="Files, .gz too; - is standard input.")
    ] = None,
    consent: Annotated[
        bool, typer.Option("--consent", help="Add an address and consent at each customer's first sight.")
    ] = False,
    to: Annotated[str, typer.Option(help="A file (.jsonl, .jsonl.gz), or log, or kafka.")] = "log",
    list_formats: Annotated[bool, typer.Option("--list", help="List the formats.")] = False,
    config: Config = None,
) -> None:
    """Turn a known data set into events."""
    if list_formats:
        for name, known in FORMATS.items():
            print(f"{name:<20} {known.about}")
        return
    if format is None or not files:
        raise fail(f"Name a format and its files: impuls import FORMAT FILE…  Formats are {', '.join(FORMATS)}.", 2)
    with Bar("bytes") as bar:
        events = import_events(format, files, consent, bar.at)
        if to not in ("log", "kafka"):
            count, place = write_file(Path(to), events), to
        else:
            settings = settings_of(config)
            if settings.source != to:
                raise fail(
                    f'--to {to}: the configuration has source = "{settings.source}". Name a configuration that fits.', 2
                )
            count, place = _append(settings, events)
    print(f"{count:,} events: {place}", file=sys.stderr)


def _append(settings: Settings, events: Iterable[tuple[bytes, bytes]]) -> tuple[int, str]:
    """Append all events in order, what a catalogue tells to its own topic; how many, and where.

    Holds no more than the writer's buffer.
    """
    inputs = doors.input_topics(settings)
    topic = TOPIC if TOPIC in inputs else inputs[0]
    doors.make_topics(settings)
    count = words = 0
    with closing(doors.open_writer(settings)) as writer:
        try:
            for key, value in events:
                is_word = CATALOGUE in inputs and is_told_to_all(value)
                while not writer.send(CATALOGUE if is_word else topic, key or None, value, count):
                    _check(writer)
                    writer.wait(0.05)
                count += 1
                words += is_word
                if not count % 1000:
                    _check(writer)
        except ImportFault as fault:
            writer.flush(60)
            raise ImportFault(f"{fault}\n{count:,} events before it are in topic {topic}. {AGAIN}") from None
        if not writer.flush(60):
            raise fail(f"The log did not take all of it in a minute; is it there? {AGAIN}")
        _check(writer)
    topics = f"topic {topic}" if not words else f"{words:,} in topic {CATALOGUE}, the others in topic {topic}"
    return count, f"{topics} of the {'embedded log' if settings.source == 'log' else 'Kafka cluster'}"


def _check(writer: Writer) -> None:
    for ack in writer.acknowledged():
        if ack.error:
            raise fail(f"Event {ack.token} was refused: {ack.error}. Those before it are in the log. {AGAIN}")
