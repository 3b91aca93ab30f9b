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
from flows.cli.readiness import text_lengths, what_is_missing, words_missing
from flows.cli.resting import parked
from flows.supervisor import PARTS, Part, Supervisor
from flows.supervisor_edits import ParkedNowhere, forms, left_behind
from state import identity
from state.store_errors import StoreRefused

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
        flows: str | None = settings.flows
    except ConfigError as error:
        faults += [str(fault) for fault in error.faults]
        flows = error.flows
    misfits = misplaced(settings) if settings is not None else []
    faults += misfits
    if flows is not None:
        try:
            catalog = load_catalog(flows)
            faults += words_missing(catalog) if settings is None else what_is_missing(settings, catalog)
            if settings is not None:
                faults += [] if misfits else behind(settings, catalog)
                notes = text_lengths(settings, catalog) if not faults else notes
        except CatalogError as error:
            faults += str(error).splitlines()
    if faults:
        print("\n".join(faults), file=sys.stderr)
        count = len(faults)
        print(f"{count} fault{'s' if count > 1 else ''}.", file=sys.stderr)
        raise typer.Exit(2)
    assert settings is not None
    print(show(settings) if show_settings else "\n".join([*notes, "Configuration and flows are fine."]))


def misplaced(settings: Settings) -> list[str]:
    """Whether the data folder is none, or one that was made with other settings."""
    if settings.data_dir.exists() and not settings.data_dir.is_dir():
        return [f"data_dir: {settings.data_dir} is a file. Name a folder; where there is none it is made."]
    if not identity.file(settings.data_dir).exists():
        return []
    try:
        identity.known(settings.data_dir, settings.shards)
    except StoreRefused as error:
        return [str(error)]
    return []


def behind(settings: Settings, catalog: Catalog) -> list[str]:
    """Whom a start with these flows would leave behind, where a deployment has run: it would refuse."""
    if not identity.file(settings.data_dir).exists():
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
    faults = what_is_missing(settings, load_catalog(settings.flows)) + misplaced(settings)
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
