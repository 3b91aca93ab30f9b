"""The commands put together, and how they end: 0 done, 1 failed, 2 the caller's fault."""

from __future__ import annotations

import sys

import typer

from config import ConfigError
from flows.catalog import CatalogError
from flows.cli import (
    choosing,
    dead_letters,
    explaining,
    exporting,
    flow_commands,
    imports,
    precompute,
    reading,
    report,
    running,
    simulating,
    webhooks,
)
from flows.imports import ImportFault
from flows.supervisor_edits import ParkedNowhere
from operators.shard import SourceGap
from state.records import LogError
from state.store_errors import StoreError

app = typer.Typer(
    name="impuls",
    help="Event-driven marketing automation: events in, the right message out, in milliseconds, nothing lost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(running.check)
app.command()(running.run)
app.command()(running.serve)
app.command()(running.replay)
app.command("import")(imports.import_)
app.command()(flow_commands.flows)
app.command()(simulating.simulate)
app.command()(explaining.explain)
app.command()(reading.customer)
app.command()(reading.decisions)
app.command()(reading.status)
app.command()(precompute.precompute)
app.command()(report.report)
app.command()(exporting.export)
app.command()(webhooks.webhook_secrets)
app.add_typer(choosing.app, name="choices")
app.add_typer(dead_letters.app, name="dead-letters")


def main() -> None:
    """Run a command and end the process."""
    try:
        app(standalone_mode=True)
    except (ConfigError, CatalogError, ImportFault, ParkedNowhere) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except (StoreError, LogError, SourceGap, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(1)
