"""`impuls flows`: list them, draw one, stop one and start it again while the workers run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from flows.catalog import load
from flows.cli.options import Config, fail, settings_of, there_are
from flows.cli.resting import resting
from flows.worker_stops import stop_flows, stopped_flows
from operators.draw import mermaid, told
from operators.flow import Flow
from operators.svg import svg
from operators.trials import canary_name


def flows(
    name: Annotated[str | None, typer.Argument(help="One flow only.")] = None,
    config: Config = None,
    as_mermaid: Annotated[bool, typer.Option("--mermaid", help="Draw it as a Mermaid diagram.")] = False,
    svg_file: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Draw it as a picture; - is standard output.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Also how many rest at each wait now.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="Stop it; running workers hear of it within a second.")] = False,
    start: Annotated[bool, typer.Option("--start", help="Start it again.")] = False,
) -> None:
    """List the flows, or show, stop or start one."""
    settings = settings_of(config)
    program = load(settings.flows).program
    known = program.by_any_name
    if name is not None and name not in known:
        raise fail(f'There is no flow "{name}". {there_are(known)}', 2)
    stopped = stopped_flows(settings.data_dir)
    if stop or start:
        if name is None or (stop and start):
            raise fail("Name one flow, and one of --stop and --start: impuls flows abandoned_cart --stop", 2)
        stop_flows(settings.data_dir, stopped | {name} if stop else stopped - {name})
        inside = f" Those inside {_meanwhile(name, known[name])}." if stop else ""
        print(f"{name} is {'stopped' if stop else 'started'}.{inside}")
        return
    if svg_file is not None:
        if name is None:
            raise fail(f"Name the flow to draw: impuls flows abandoned_cart --svg {svg_file}", 2)
        flow = known[name]
        drawn = svg(flow, program.version_of(flow), resting(settings, flow) if live else None, stopped=name in stopped)
        sys.stdout.write(drawn) if str(svg_file) == "-" else svg_file.write_text(drawn, encoding="utf-8")
        return
    for each in [name] if name else list(known):
        if as_mermaid:
            print(mermaid(known[each]))
        else:
            print(told(known[each], program.version_of(known[each])))
            if live:
                print(f"  inside now: {_inside(resting(settings, known[each]))}")
            if each in stopped:
                print("  stopped; start it again with --start")


def _inside(resting: Mapping[str, int]) -> str:
    return ", ".join(f"{count} at {wait}" for wait, count in resting.items() if count) or "nobody"


def _meanwhile(name: str, flow: Flow[Any]) -> str:
    if name == canary_name(flow.name):
        return "go on under the present version"
    return "rest where they are" if flow.while_stopped == "rest" else "go on, and get nothing from it"
