"""The commands that do the work: check, run, serve, replay."""

from __future__ import annotations

import os
import sys
from dataclasses import replace as altered
from pathlib import Path
from typing import Annotated, Literal

import typer

from config import ConfigError, Settings, load, show
from config.faults import Unfit
from config.values import duration_ms
from flows.catalog import Catalog, CatalogError
from flows.catalog import load as load_catalog
from flows.cli.comparing import replay_both
from flows.cli.options import Config, Json, settings_of
from flows.cli.progress import Bar
from flows.cli.readiness import text_lengths, what_is_missing
from flows.cli.resting import parked
from flows.cli_replay import BATCH_SIZE, Replay, secret_for
from flows.cli_replay import replay as play
from flows.supervisor import PARTS, Part, Supervisor
from flows.supervisor_edits import ParkedNowhere, forms, left_behind


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
    from flows.worker_process import log_json

    settings = settings_of(config)
    faults = what_is_missing(settings, load_catalog(settings.flows))
    if faults:
        print("\n".join(faults), file=sys.stderr)
        raise typer.Exit(2)
    log_json("supervisor")
    parts: tuple[Part, ...] = (only,) if only else PARTS
    raise typer.Exit(Supervisor(config, workers=workers, couriers=couriers, parts=parts).run())


def serve(config: Config = None) -> None:
    """Run the HTTP doors only; the same as `run --only serve`."""
    run(config, 1, 1, "serve")


def replay(
    files: Annotated[list[Path], typer.Argument(help="JSON lines, plain or .gz.", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option(help="The folder for decisions.jsonl; what is there is replaced.")],
    config: Config = None,
    flows: Annotated[str | None, typer.Option(help="Another module of flows.")] = None,
    play_out: Annotated[str, typer.Option(help="How long parked waits run on after the last event: 30d.")] = "0d",
    send: Annotated[
        bool, typer.Option("--send", help="Send the messages, by way of the log and its couriers.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1)] = 1,
    batch_size: Annotated[int, typer.Option(min=1)] = BATCH_SIZE,
    models: Annotated[
        Path | None, typer.Option(help="A folder of published models, such as data_dir/models: the newest is asked.")
    ] = None,
    compare: Annotated[
        str | None, typer.Option(help="A module of flows to play beside these: who gains, loses, gets another message.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Replay events through the flows on the replay clock: decisions, and nothing sent."""
    settings = settings_of(config)
    if flows:
        settings = altered(settings, flows=flows)
    try:
        ahead = 0 if play_out.strip() in ("0", "0d") else duration_ms(play_out)
    except Unfit as error:
        raise typer.BadParameter(str(error), param_hint="--play-out") from None
    configured = config is not None or Path("impuls.toml").is_file() or "IMPULS_CONFIG" in os.environ
    load_catalog(settings.flows, models)
    plan = Replay(
        files=tuple(files),
        out=out,
        settings=settings,
        secret=secret_for(settings, configured=configured),
        play_out=ahead,
        workers=workers,
        batch_size=batch_size,
        sends=send,
        models=models,
    )
    if compare is not None:
        replay_both(plan, compare, as_json=as_json)
        return
    with Bar("events") as bar:
        played = play(plan, bar.at)
    print(
        f"{played.events} events, {played.decisions} decisions, {played.dead_letters} dead letters: "
        f"{out / 'decisions.jsonl'}",
        file=sys.stderr,
    )
