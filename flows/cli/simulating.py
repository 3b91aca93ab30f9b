"""`impuls simulate`: a scenario played on a simulated clock, as a timeline; with expectations it is a test too."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from config import ConfigError
from flows.catalog import load
from flows.cli.options import Config, Json, fail, settings_of
from flows.cli.scenario import read_scenario
from flows.cli.timeline import Timeline, print_json


def simulate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The flow.")],
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO.toml", help="Customer, rules, events, expectations.")],
    config: Config = None,
    flows: Annotated[str | None, typer.Option(help="Another module of flows.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also each event that no flow heard.")] = False,
    as_json: Json = False,
) -> None:
    """Play a scenario on a simulated clock; exit 1 when what it expects is not what is decided."""
    settings = settings_of(config, flows)
    try:
        play = read_scenario(scenario, name, load(settings.flows).program)
    except ConfigError as error:
        raise fail(str(error), 2) from None
    entries = play.simulation.timeline(play.play_out)
    if as_json:
        print_json(entries)
    else:
        zone = play.simulation.traits.time_zone or play.simulation.rules.time_zone
        Timeline(zone, everything=everything, since=play.simulation.start).print(entries)
    misses = play.misses(play.simulation.decisions(play.play_out))
    failed = sorted({entry.flow for entry in entries if entry.what == "flow_error"})
    misses += [f"{flow}: its own code failed, see above" for flow in failed]
    if misses:
        print("\n".join(misses), file=sys.stderr)
        raise typer.Exit(1)
    if play.expect is not None and not as_json:
        print("\nAs expected.")
