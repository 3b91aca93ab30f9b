"""`impuls import`: a known data set becomes events, in a file or in the log."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from flows import worker_doors as doors
from flows.cli.options import Config, fail, settings_of
from flows.cli.progress import Bar
from flows.imports import FORMATS, import_events, write_file
from state.records import Writer

TOPIC = "clickstream"


def import_(
    format: Annotated[str | None, typer.Argument(metavar="FORMAT")] = None,
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
    if format not in FORMATS or not files:
        raise fail(f"Name a format and its files: impuls import FORMAT FILE…  Formats are {', '.join(FORMATS)}.", 2)
    with Bar("bytes") as bar:
        events = import_events(format, files, consent, bar.at)
        if to not in ("log", "kafka"):
            count = write_file(Path(to), events)
        else:
            settings = settings_of(config)
            if settings.source != to:
                raise fail(
                    f'--to {to}: the configuration has source = "{settings.source}". Name a configuration that fits.', 2
                )
            doors.make_topics(settings)
            writer = doors.open_writer(settings)
            count = 0
            for key, value in events:
                _put(writer, key, value)
                count += 1
            flushed = writer.flush(60)
            writer.close()
            if not flushed:
                raise fail("The log did not take all of it in a minute. Import again: what came twice counts once.")
    print(f"{count} events", file=sys.stderr)


def _put(writer: Writer, key: bytes, value: bytes) -> None:
    while not writer.send(TOPIC, key or None, value):
        time.sleep(0.002)
