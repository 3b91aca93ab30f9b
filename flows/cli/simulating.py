"""`impuls simulate`: a scenario played on a simulated clock, as a timeline; with expectations it is a test too."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from config import ConfigError
from connectors.templates import TemplateFaults
from flows.catalog import load
from flows.cli.options import Config, Json, fail, settings_of
from flows.cli.scenario import read_scenario
from flows.cli.timeline import Timeline, print_json
from flows.cli.writing import Unwritten, Writer, unsaid


def simulate(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The flow.")],
    scenario: Annotated[Path, typer.Argument(metavar="SCENARIO.toml", help="Customer, rules, events, expectations.")],
    config: Config = None,
    flows: Annotated[str | None, typer.Option(help="Another module of flows.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also each event that no flow heard.")] = False,
    texts: Annotated[bool, typer.Option("--texts", help="Also what each message says.")] = False,
    as_json: Json = False,
) -> None:
    """Play a scenario on a simulated clock; exit 1 when what it expects is not what is decided.

    So it is when a message cannot be written: its template does not go with what it is filled in with.
    """
    settings = settings_of(config, flows)
    catalog = load(settings.flows)
    try:
        play = read_scenario(scenario, name, catalog.program)
        writer = Writer(settings, catalog)
    except (TemplateFaults, ConfigError) as error:
        raise fail(str(error), 2) from None
    entries = play.simulation.timeline(play.play_out)
    if as_json:
        print_json(entries)
    else:
        zone = play.simulation.traits.time_zone or play.simulation.rules.time_zone
        timeline = Timeline(zone, everything=everything, since=play.simulation.start)
        timeline.print(entries)
    unwritten: dict[str, None] = {}
    for message in play.simulation.messages(play.play_out):
        try:
            words = writer.write(message)
        except Unwritten as error:
            unwritten[str(error)] = None
        else:
            if texts and not as_json:
                timeline.say(f"\n{message.template}, {timeline.apart(message.at)}", "bold")
                timeline.say("\n".join(words.values()).rstrip() or unsaid(message), "" if words else "dim")
    misses = play.misses(play.simulation.decisions(play.play_out))
    misses += unwritten
    failed = sorted({entry.flow for entry in entries if entry.what == "flow_error"})
    misses += [f"{flow}: its own code failed, see above" for flow in failed]
    if misses:
        print("\n".join(misses), file=sys.stderr)
        raise typer.Exit(1)
    if play.expect is not None and not as_json:
        print("\nAs expected.")
