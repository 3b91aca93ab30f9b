"""The commands of a deployment: check, run, serve."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Literal

import typer

from config import ConfigError, Settings, load, show
from flows.catalog import Catalog, CatalogError
from flows.catalog import load as load_catalog
from flows.cli.options import Config, settings_of
from flows.cli.readiness import text_lengths, what_is_missing
from flows.cli.resting import parked
from flows.supervisor import PARTS, Part, Supervisor
from flows.supervisor_edits import ParkedNowhere, forms, left_behind

NOTHING_TO_SERVE = (
    'http.listen is "none", so that there is nothing to serve. Name an address, such as "127.0.0.1:8000", or do not '
    "start this process."
)


def check(
    config: Config = None,
    show_settings: Annotated[
        bool, typer.Option("--print", help="Show the effective configuration, secrets masked.")
    ] = False,
) -> None:
    """Read configuration, flows and templates, and report all that is wrong with them."""
    faults: list[str] = []
    settings, notes = None, list[str]()
    try:
        settings = load(config, os.environ)
    except ConfigError as error:
        faults += [str(fault) for fault in error.faults]
    if settings is not None:
        try:
            catalog = load_catalog(settings.flows)
            faults += what_is_missing(settings, catalog)
            faults += behind(settings, catalog)
            notes = text_lengths(settings, catalog) if not faults else notes
        except CatalogError as error:
            faults.append(str(error))
    if faults:
        print("\n".join(faults), file=sys.stderr)
        count = len(faults)
        print(f"{count} fault{'s' if count > 1 else ''}.", file=sys.stderr)
        raise typer.Exit(2)
    assert settings is not None
    print(show(settings) if show_settings else "\n".join([*notes, "Configuration and flows are fine."]))


def behind(settings: Settings, catalog: Catalog) -> list[str]:
    """Whom a start with these flows would leave behind, where a deployment has run: it would refuse."""
    if not (settings.data_dir / "identity.json").exists():
        return []
    try:
        return left_behind(catalog.program, parked(settings), forms(settings.data_dir))
    except ParkedNowhere as error:
        return [str(error)]


def run(
    config: Config = None,
    workers: Annotated[int, typer.Option(min=1, help="Worker processes; about one per core.")] = 1,
    couriers: Annotated[int, typer.Option(min=1, help="Courier processes.")] = 1,
    only: Annotated[
        Literal["worker", "courier", "learner", "serve"] | None, typer.Option(help="Run one kind of process only.")
    ] = None,
) -> None:
    """Run workers, couriers, the learner and the HTTP doors until SIGTERM, which drains."""
    from flows.json_log import log_json

    settings = settings_of(config)
    faults = what_is_missing(settings, load_catalog(settings.flows))
    if only == "serve" and settings.http.listen is None:
        faults.append(NOTHING_TO_SERVE)
    if faults:
        print("\n".join(faults), file=sys.stderr)
        raise typer.Exit(2)
    log_json("supervisor")
    parts: tuple[Part, ...] = (only,) if only else PARTS
    raise typer.Exit(Supervisor(config, workers=workers, couriers=couriers, parts=parts).run())


def serve(config: Config = None) -> None:
    """Run the HTTP doors only; the same as `run --only serve`."""
    run(config, 1, 1, "serve")
