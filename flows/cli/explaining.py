"""`impuls explain`: why a customer did or did not get a message, at any moment of the past."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import typer

from config import Settings
from flows.catalog import load
from flows.cli.history import History, remember
from flows.cli.identities import note_on, refusals_of
from flows.cli.options import Config, Json, audit, counted, fail, ids_of, instant, there_are
from flows.cli.progress import Bar
from flows.cli.reading import existing
from flows.cli.timeline import Timeline, print_json
from flows.published_models import FOLDER as MODELS
from flows.worker_rules import rules_of
from operators.explain import explain as explained
from operators.program import Program
from operators.trace import Entry
from state.instants import format_instant

_ABOUT_HER = frozenset({"event", "duplicate", "held", "rejected", "not_taken", "note"})


def explain(
    customer: Annotated[str, typer.Argument(metavar="CUSTOMER", help="The id the shop uses.")],
    flow: Annotated[str | None, typer.Option(help="What one flow did and did not do.")] = None,
    at: Annotated[str | None, typer.Option(help="As it stood at this time; else now.")] = None,
    since: Annotated[str | None, typer.Option(help="Show nothing from before this time.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also each event that moved no flow.")] = False,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Why a customer did or did not get a message: events, waits, conditions, guards, decisions, deliveries."""
    settings = existing(config)
    program = load(settings.flows, settings.data_dir / MODELS).program
    if flow is not None and flow not in program.by_name:
        raise fail(f'There is no flow "{flow}". {there_are(program.by_name)}', 2)
    audit(settings, "explain", customer)
    until, after = (instant(at) if at else None), (instant(since) if since else 0)
    with Bar("records") as bar:
        history = remember(settings, customer, bar.at)
    memory = history.memory
    if not memory.inputs and not memory.decisions and memory.record is None:
        raise fail("There is nothing of this customer, neither in the log nor in the store.")
    entries = story(settings, program, history, until)
    told = sum(entry.what == "decision" for entry in entries)
    differing = [e for e in entries if e.what == "difference" or e.stored in ("differs", "missing")]
    notes = [
        Entry(at=entries[0].at if entries else 0, what="note", detail=note) for note in notes_of(program, history, flow)
    ]
    shown = [e for e in entries if e.at >= after and (flow is None or e.flow == flow or _is_about_her(e))]
    if as_json:
        print_json([*notes, *shown])
        return
    zone = (memory.record.traits.time_zone if memory.record else "") or settings.guards.time_zone
    timeline = Timeline(zone, everything=everything)
    moment = format_instant(until)[:19].replace("T", " ") + "Z" if until else "now"
    agreement = f"{counted(len(differing), 'difference')} from the store" if differing else "all as in the store"
    events = counted(sum(entry.what == "event" for entry in entries), "event")
    timeline.say(f"{customer}, as of {moment}: {events}, {counted(told, 'decision')}, {agreement}", "bold")
    for note in notes:
        timeline.say(note.detail, "yellow")
    timeline.print(shown)


def story(settings: Settings, program: Program, history: History, until: int | None) -> list[Entry]:
    """Her story up to a moment of the past, or until now."""
    now = history.now if settings.clock == "live" else history.clock
    return explained(
        program,
        rules_of(settings),
        ids_of(settings),
        history.memory,
        clock=settings.clock,
        until=now if until is None else until,
        is_past=until is not None,
        clock_now=history.clock,
        wall_now=history.now,
    )


def notes_of(program: Program, history: History, flow: str | None = None) -> Iterator[str]:
    """What the reader must know before she believes a line, about one flow or all."""
    yield from history.memory.notes
    if history.record is not None:
        if note := note_on(history.record):
            yield note
        yield from refusals_of(history.record)
    others: Counter[tuple[str, str]] = Counter()
    for told in history.memory.decisions.values():
        decision = told.decision
        known = program.versions.get(decision.flow), program.canary_versions.get(decision.flow)
        changed = decision.flow_version not in known
        if changed and flow in (None, decision.flow):
            others[decision.flow, decision.flow_version] += 1
    for (name, version), count in sorted(others.items()):
        now = f"it is {program.versions[name]} now" if name in program.versions else "it is gone now"
        made = f"{counted(count, 'decision')} {'was' if count == 1 else 'were'} made"
        yield f"{made} by version {version} of {name}; {now}, and what is told is by that."


def _is_about_her(entry: Entry) -> bool:
    return entry.what in _ABOUT_HER or (entry.what == "difference" and not entry.flow)
