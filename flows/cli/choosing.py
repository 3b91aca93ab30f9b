"""`impuls choices`: how the choices of flows stand, new shares for them, and what other shares would have earned.

What needs numpy is imported where it is used: no other command is to wait for it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from config import Settings
from flows.catalog import load
from flows.cli.options import Config, Json, audit, fail, instant, settings_of
from flows.cli.progress import Bar
from flows.cli.reading import existing
from flows.published_models import FOLDER
from flows.published_shares import SharesFile, publish
from operators.bandits.schedule import Entry, Policy, Schedule
from operators.bandits.training import beginning, holding, released
from operators.flow import Flow
from operators.program import choices
from operators.steps import Choose, named
from state.instants import format_instant

if TYPE_CHECKING:
    from flows.learner_choices import Known
    from operators.bandits.tries import Tried

app = typer.Typer(help="What the choices of flows learnt, and what other shares would have earned.")

Replayed = Annotated[
    Path | None, typer.Option("--replay", help="Of what `impuls replay --out` left in this folder.", exists=True)
]
Choice = Annotated[str, typer.Argument(metavar="CHOICE")]
Shares = Annotated[
    list[str] | None,
    typer.Option(
        help="Shares such as short=70,long=30; where conditions hold, named before a colon: 'is_new: short=20,long=80'."
    ),
]
Since = Annotated[str | None, typer.Option(help="Decisions from this time on.")]


@app.command("list")
def list_(config: Config = None, as_json: Json = False) -> None:
    """The choices of all flows with the shares they draw by now."""
    settings = settings_of(config)
    schedule = SharesFile(settings.data_dir / FOLDER).schedule
    for name, step in sorted(choices(_flows(settings)).items()):
        _tell(_standing(step, schedule.last(name)), as_json=as_json)


@app.command("learn")
def learn_(replayed: Replayed = None, config: Config = None, as_json: Json = False) -> None:
    """Publish new shares, for the choices whose shares move; `impuls run` does it by itself every so often.

    With --replay the shares are learnt from a replay, for a deployment that is to begin by them.
    """
    from flows.learner_choices import learn

    settings = settings_of(config) if replayed is not None else existing(config)
    flows = _flows(settings)
    for entry in learn(settings, flows, _known(settings, flows, replayed, since=None)):
        _tell(_standing(choices(flows)[entry.choice], entry), as_json=as_json)


@app.command("judge")
def judge_(
    name: Choice,
    shares: Shares = None,
    since: Since = None,
    replayed: Replayed = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """What these shares, else those published last, would have earned: from decisions made and their propensities."""
    from operators.bandits.judging import judge

    settings = settings_of(config) if replayed is not None else existing(config)
    flows = _flows(settings)
    step = _step(flows, name)
    policy = _read(step, shares) if shares else _published(settings, step)
    found = _known(settings, flows, replayed, since=since)
    tries = sorted(
        (each for each in found.tries.get(name, ()) if each.one.at + step.learns.within_ms <= found.now),
        key=lambda each: (each.one.at, each.id),
    )
    try:
        judged = judge(tries, policy, [arm.name for arm in step.arms])
    except ValueError as error:
        raise fail(f"{name}: {error}") from None
    _tell(_judged(step, tries, judged), as_json=as_json)


@app.command("hold")
def hold_(
    name: Choice,
    shares: Shares = None,
    number: Annotated[int | None, typer.Option(help="Those that were published under this number.", min=1)] = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Draw by these shares, else by those in force, and learn no others until `release`."""
    if shares and number is not None:
        raise typer.BadParameter("say the shares or the number of some, not both.")
    settings = settings_of(config)
    step = _step(_flows(settings), name)
    policy = _read(step, shares) if shares else None

    def held(last: Entry | None, there: Schedule) -> Entry:
        chosen = policy
        if number is not None:
            found = there.numbered(name, number)
            if found is None:
                raise fail(f"There are no shares {number} of {name}; the last are {last.number if last else 0}.", 2)
            chosen = found.shares
        if chosen is None:
            chosen = last.shares if last is not None else {"": {arm.name: arm.percent / 100 for arm in step.arms}}
        if any(arms.keys() != {arm.name for arm in step.arms} for arms in chosen.values()) or "" not in chosen:
            raise fail(f"{name}: those are shares of other arms than it has now. Say the shares: --shares …", 2)
        return holding(step, chosen, last)

    _tell(_standing(step, _put(settings, step, held)), as_json=as_json)


@app.command("release")
def release_(name: Choice, config: Config = None, as_json: Json = False) -> None:
    """Go on learning from the shares that were held."""
    settings = settings_of(config)
    step = _step(_flows(settings), name)

    def freed(last: Entry | None, _: Schedule) -> Entry:
        if last is None or not last.held:
            raise fail(f"The shares of {name} are not held.", 2)
        return released(last)

    _tell(_standing(step, _put(settings, step, freed)), as_json=as_json)


def _put(settings: Settings, step: Choose[Any], made: Callable[[Entry | None, Schedule], Entry]) -> Entry:
    """Publish one entry by the word of whoever asks."""
    audit(settings, "choices")

    def entries(there: Schedule) -> list[Entry]:
        last = there.last(step.name)
        now = round(time.time() * 1000) if settings.clock == "live" else last.begins if last else 0
        return [beginning(made(last, there), last, now)]

    [entry] = publish(settings.data_dir / FOLDER, entries)
    return entry


def _step(flows: Sequence[Flow[Any]], name: str) -> Choose[Any]:
    there = choices(flows)
    if name not in there:
        raise fail(f"There is no choice {name}. There are {', '.join(sorted(there)) or 'none'}.", 2)
    return there[name]


def _flows(settings: Settings) -> Sequence[Flow[Any]]:
    return load(settings.flows).program.all


def _known(settings: Settings, flows: Sequence[Flow[Any]], replayed: Path | None, *, since: str | None) -> Known:
    from flows.learner_choices import known, since_when

    if replayed is not None and not (replayed / "decisions.jsonl").is_file():
        raise fail(f"{replayed}: there is no decisions.jsonl. Name a folder that `impuls replay --out` wrote.", 2)
    if replayed is None:
        audit(settings, "choices")
    live = settings.clock == "live" and replayed is None
    after = instant(since) if since else since_when(flows, round(time.time() * 1000)) if live else 0
    with Bar("records") as bar:
        return known(settings, flows, replayed=replayed, since=after, progress=bar.at)


def _read(step: Choose[Any], texts: Sequence[str]) -> Policy:
    """By context; for those not named the flow's own shares hold where nothing else was said."""
    conditions = {named(each, step.name) for each in step.by}
    found = {"": {arm.name: arm.percent / 100 for arm in step.arms}}
    for text in texts:
        before, colon, after = text.rpartition(":")
        context = " ".join(sorted(before.split()))
        if colon and (not context or set(context.split()) - conditions):
            raise typer.BadParameter(
                f'"{before}" names no conditions of {step.name}. It has {", ".join(sorted(conditions)) or "none"}.'
            )
        found[context] = _shares_of(step, after)
    return found


def _shares_of(step: Choose[Any], text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in text.split(","):
        arm, _, percent = part.partition("=")
        try:
            found[arm.strip()] = float(percent) / 100
        except ValueError:
            raise typer.BadParameter(f'"{part}" is no share. Something like short=70,long=30 will do.') from None
    arms = {arm.name for arm in step.arms}
    if found.keys() - arms or not abs(sum(found.values()) - 1) <= 1e-6 or min(found.values()) < 0:
        raise typer.BadParameter(
            f"{text}: that are not shares of {', '.join(sorted(arms))} that add up to 100.", param_hint="--shares"
        )
    return {arm: found.get(arm, 0.0) for arm in sorted(arms)}


def _published(settings: Settings, step: Choose[Any]) -> Policy:
    entry = SharesFile(settings.data_dir / FOLDER).schedule.last(step.name)
    if entry is None:
        raise fail(f"No shares of {step.name} are published yet. Name some: --shares …", 2)
    return entry.shares


def _standing(step: Choose[Any], entry: Entry | None) -> dict[str, Any]:
    own = {"": {arm.name: arm.percent / 100 for arm in step.arms}}
    told: dict[str, Any] = {"choice": step.name, "number": 0, "state": "not learnt yet", "shares": own}
    if entry is None:
        return told
    told |= {
        "number": entry.number,
        "state": "held" if entry.held else entry.state,
        "tries": entry.tries,
        "begins": format_instant(entry.begins),
    }
    return told | {"regret": entry.regret, "stopped": list(entry.stopped), "shares": entry.shares}


def _judged(step: Choose[Any], tries: Sequence[Tried], judged: Mapping[str, Any]) -> dict[str, Any]:
    earned = sum(each.one.rewarded for each in tries) / len(tries)
    estimates = {
        name: {**dict(zip(found._fields, found, strict=True)), "supported": found.is_supported}
        for name, found in judged.items()
    }
    return {"choice": step.name, "reward": step.learns.reward, "decisions": len(tries), "earned": earned, **estimates}


def _tell(told: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        return
    if "earned" in told:
        print(f"{told['choice']}: {told['decisions']} decisions earned {told['earned']:.4f} {told['reward']}s each")
        for name in ("ips", "snips", "doubly_robust"):
            each = told[name]
            doubt = "" if each["supported"] else "  the two policies hardly meet: the interval means nothing"
            interval = f"[{each['low']:.4f}, {each['high']:.4f}]"
            print(f"  {name:14} {each['value']:.4f} {interval}, worth {each['ess']:.0f} decisions{doubt}")
        return
    stopped = f", stopped: {', '.join(told['stopped'])}" if told.get("stopped") else ""
    learnt = f", {told['tries']} tries, from {told['begins']}" if told["number"] else ""
    print(f"{told['choice']}: shares {told['number']}, {told['state']}{learnt}{stopped}")
    for context, arms in told["shares"].items():
        shown = ", ".join(f"{arm} {100 * share:.1f} %" for arm, share in arms.items())
        print(f"  {'where ' + context.replace(' ', ', ') + ': ' if context else ''}{shown}")
