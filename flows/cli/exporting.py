"""`impuls export`: the log as Parquet files, for whoever asks questions in SQL."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from flows import worker_doors as doors
from flows.cli.options import Config, audit, fail
from flows.cli.progress import Bar
from flows.cli.reading import existing
from operators.inputs import DELIVERIES
from state import identity
from state.catalogue import CATALOGUE
from state.recommendations import TOPIC


def export(
    to: Annotated[Path, typer.Option("--to", help="The folder for the files; the same one every time.")],
    config: Config = None,
    skip_lost: Annotated[
        bool, typer.Option("--skip-lost", help="Go on where records were deleted before they were exported.")
    ] = False,
) -> None:
    """Write decisions, deliveries, recommendations and more as Parquet, by day: what is new, each row exactly once."""
    try:
        from flows.cli_export.export import Export
        from flows.cli_export.progress import Progress
        from flows.cli_export.tables import decision_row, delivery_row, event_rows, recommendation_row
    except ModuleNotFoundError as error:
        raise fail(f"export: {error.name} is not installed. `pip install 'impuls[export]'` brings it.", 2) from None
    settings = existing(config)
    audit(settings, "export")
    readings = {"decisions": decision_row, DELIVERIES: delivery_row, TOPIC: recommendation_row}
    events = [topic for topic in doors.input_topics(settings) if topic != CATALOGUE]
    progress = Progress(to, identity.read(identity.file(settings.data_dir)).id)
    reader = doors.open_reader(settings, "impuls-export")
    try:
        made = Export(
            to, progress, reader, readings | {topic: event_rows(topic, settings.currency) for topic in events}
        )
        with Bar("records") as bar:
            rows = made.run(bar.at, skip_lost=skip_lost)
    finally:
        reader.close()
        progress.close()
    print(f"{rows} new rows: {to}", file=sys.stderr)
