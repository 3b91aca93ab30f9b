"""`impuls report`: what messages came to, as a table, a page, or JSON lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from flows.catalog import load
from flows.cli.options import Config, Json, audit, fail, instant, settings_of
from flows.cli.progress import Bar
from flows.cli.reading import existing
from flows.cli.report_recommended import recommended_since
from flows.cli.report_sources import Promises, Source, from_deployment, from_replay
from operators.measuring import rows
from operators.measuring.account import Terms, account
from operators.measuring.figures import Report
from operators.measuring.ledger import Ledger
from operators.measuring.recommended import Ledger as Recommended
from state.sorter import Sorter


def report(
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="With --replay: the events, where they are not where they were.", exists=True),
    ] = None,
    flow: Annotated[str | None, typer.Option(help="Of one flow.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots to this file.")] = None,
    replay: Annotated[
        Path | None, typer.Option(help="Of what `impuls replay --out` left in this folder.", exists=True)
    ] = None,
    since: Annotated[str | None, typer.Option(help="Messages, and customers who came, from this time on.")] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """What flows, messages and arms came to: sent, read, bought, and how much of that is their doing."""
    if files and replay is None:
        raise typer.BadParameter("files of events go with --replay; a deployment has its log.")
    after = instant(since) if since else 0
    settings = settings_of(config) if replay is not None else existing(config)
    flows = load(settings.flows).program.flows
    if flow is not None and flow not in {each.name for each in flows}:
        raise fail(f"There is no flow {flow}. There are {', '.join(sorted(each.name for each in flows))}.", 2)
    promises = Promises.of(flows)
    if replay is not None and not (replay / "decisions.jsonl").is_file():
        raise fail(f"{replay}: there is no decisions.jsonl. Name a folder that `impuls replay --out` wrote.", 2)
    with Sorter() as sorter, Bar("records") as bar:
        if replay is not None:
            source = from_replay(replay, files or [], settings, sorter, 0, bar.at)
        else:
            audit(settings, "report")
            source = from_deployment(settings, promises, sorter, 0, bar.at)
        shown = recommended_since(settings, after, bar.at) if replay is None and flow is None else Recommended()
        told = Report(
            _added_up(sorter, source, promises, after),
            currency=source.currency,
            holdout=source.holdout,
            clock=source.clock,
            delivers=source.delivers,
            own_holdouts=promises.own_holdouts,
            flow=flow,
        )
    _tell(told, shown, html, as_json=as_json)


def _tell(told: Report, shown: Recommended, html: Path | None, *, as_json: bool) -> None:
    # Here, since no other command needs what these import.
    from rich.console import Console

    from flows.cli.report_page import page
    from flows.cli.report_recommended import show as show_recommended
    from flows.cli.report_table import WIDTH_IN_A_PIPE, show

    if html is not None:
        fresh = html.with_name(f".{html.name}")
        fresh.write_text(page(told, shown), encoding="utf-8")
        fresh.replace(html)
    recommended = list(shown.lines())
    if as_json:
        for line in [*_json(told), *({"kind": "recommended", **msgspec.to_builtins(each)} for each in recommended)]:
            sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    elif html is not None:
        print(html)
    else:
        width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDTH_IN_A_PIPE
        show(told, Console(width=width))
        if recommended:
            show_recommended(recommended, Console(width=width))


def _added_up(sorter: Sorter, source: Source, promises: Promises, since: int) -> Ledger:
    terms = Terms(
        windows=promises.windows,
        currency=source.currency,
        clock=source.clock,
        delivers=source.delivers,
        own_holdouts=promises.own_holdouts.keys(),
        choices=promises.choices,
        experiments=promises.experiments,
        since=since,
    )
    ledger = Ledger()
    for _, found in sorter.owners():
        account([rows.decode(row) for row in found], terms, ledger)
    return ledger


def _json(told: Report) -> Iterator[dict[str, Any]]:
    kinds = {"line": told.lines(), "cohorts": told.cohorts(), "coming": told.coming()}
    for kind, found in kinds.items():
        for each in found:
            yield {"kind": kind, **msgspec.to_builtins(each)}
