"""`impuls replay`: a file of events through the flows, on the replay clock; two versions of them side by side."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from config.faults import Unfit
from config.values import duration_ms
from flows.catalog import load as load_catalog
from flows.cli.comparing import replay_both
from flows.cli.options import Config, Json, counted, fail, settings_of
from flows.cli.progress import Bar
from flows.cli_replay import BATCH_SIZE, Replay, secret_for
from flows.cli_replay import replay as play
from operators.files import check_file


def replay(
    files: Annotated[list[Path], typer.Argument(help="JSON lines, plain or .gz.", exists=True, dir_okay=False)],
    out: Annotated[Path, typer.Option(help="The folder for decisions.jsonl; what is there is replaced.")],
    config: Config = None,
    flows: Annotated[str | None, typer.Option(help="Another module of flows.")] = None,
    play_out: Annotated[str, typer.Option(help="How long parked waits run on after the last event: 30d.")] = "0d",
    send: Annotated[
        bool, typer.Option("--send", help="Send the messages, by way of the log and its couriers.")
    ] = False,
    workers: Annotated[int, typer.Option(min=1, help="Processes; what is decided does not depend on it.")] = 1,
    batch_size: Annotated[int, typer.Option(min=1, help="Events read at once; nor on this.")] = BATCH_SIZE,
    models: Annotated[
        Path | None, typer.Option(help="A folder of published models, such as data_dir/models: the newest is asked.")
    ] = None,
    compare: Annotated[
        str | None, typer.Option(help="A module of flows to play beside these: who gains, loses, gets another message.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Replay events through the flows on the replay clock: decisions, and nothing sent."""
    settings = settings_of(config, flows)
    try:
        ahead = 0 if play_out.strip() in ("0", "0d") else duration_ms(play_out)
    except Unfit as error:
        raise typer.BadParameter(f"{play_out}, {error}", param_hint="--play-out") from None
    load_catalog(settings.flows, models)
    for path in files:
        check_file(path)
    if compare is not None:
        load_catalog(compare, models)
    _make(out)
    plan = Replay(
        files=tuple(files),
        out=out,
        settings=settings,
        secret=secret_for(settings),
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
        f"{played.events} events, {played.decisions} decisions, {counted(played.dead_letters, 'dead letter')}: "
        f"{out / 'decisions.jsonl'}",
        file=sys.stderr,
    )
    if played.dead_letters:
        print(f"What was set aside, and why: {out / 'dead-letters.jsonl'}", file=sys.stderr)


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise fail(f"--out {out}: it cannot be a folder ({error.strerror}). Name a folder, or a new one.", 2) from None
