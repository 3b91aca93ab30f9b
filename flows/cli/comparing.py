"""`impuls replay --compare`: two versions of the flows over one history, and who would notice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rich.console import Console
from rich.table import Table

from flows.catalog import load
from flows.cli.progress import Bar
from flows.cli_compare import CHANGES, Tally, compare, previous_removed
from flows.cli_replay import Replay
from flows.cli_replay import replay as play

_WORDS = {
    "gains": "gain a message",
    "loses": "lose a message",
    "other_message": "get another message",
    "other_time": "get it at another time",
    "other_reason": "get none either way, for another reason",
}


def replay_both(plan: Replay, module: str, *, as_json: bool) -> None:
    """Replay with the flows of the plan and with those of another module, then tell the difference."""
    other = replace(plan, settings=replace(plan.settings, flows=module), out=plan.out / "compare")
    load(module)
    previous_removed(plan.out)
    for each in (plan, other):
        with Bar(f"events through {each.settings.flows}") as bar:
            play(each, bar.at)
    with Bar("bytes of decisions compared") as bar:
        tally = compare(plan.out / "decisions.jsonl", other.out / "decisions.jsonl", plan.out / "compare.jsonl", bar.at)
    if as_json:
        for line in lines(tally):
            print(json.dumps(line))
    else:
        show(tally, plan, module)


def lines(tally: Tally) -> Iterator[dict[str, Any]]:
    """One object for each flow and message, then one for all."""
    for flow, message in tally.messages():
        yield {
            "flow": flow,
            "message": message,
            "before": _outcomes(tally, 0, flow, message),
            "after": _outcomes(tally, 1, flow, message),
            **{change: tally.changes[flow, message, change] for change in CHANGES},
            "gains_from_cap": tally.caps[flow, message, "gains"],
            "loses_to_cap": tally.caps[flow, message, "loses"],
        }
    yield {
        "same": tally.same,
        **{change: sum(n for (_, _, each), n in tally.changes.items() if each == change) for change in CHANGES},
        "customers": {name: tally.customers[name] for name in ("all", "noticing", "changed", *CHANGES)},
    }


def _outcomes(tally: Tally, side: int, flow: str, message: str) -> dict[str, int]:
    return {
        f"{outcome}:{reason}" if reason else outcome: count
        for (its_flow, its_message, outcome, reason), count in sorted(tally.outcomes[side].items())
        if (its_flow, its_message) == (flow, message)
    }


def show(tally: Tally, plan: Replay, module: str) -> None:
    console = Console(highlight=False)
    console.width = max(console.width, 130)  # a pipe has no width of its own
    customers = tally.customers
    console.print(
        f"{plan.settings.flows} → {module}: {customers['noticing']:,} of {customers['all']:,} customers would notice; "
        f"{tally.same:,} messages stay as they are.",
        style="bold",
        soft_wrap=True,
    )
    for change in CHANGES:
        if customers[change]:
            console.print(f"  {customers[change]:>9,} {_WORDS[change]}")
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("flow", no_wrap=True)
    table.add_column("message", no_wrap=True)
    for name in ("sent", "would send", "gains", "loses", "other message", "other time", "by caps"):
        table.add_column(name, justify="right", no_wrap=True)
    for flow, message in tally.messages():
        caps = tally.caps[flow, message, "gains"], tally.caps[flow, message, "loses"]
        numbers = [
            f"{tally.sent(0, flow, message):,}",
            f"{tally.sent(1, flow, message):,}",
            *(_number(tally.changes[flow, message, change]) for change in CHANGES[:4]),
            "–" if not any(caps) else f"+{caps[0]:,} −{caps[1]:,}",
        ]
        table.add_row(flow, message, *numbers)
    console.print()
    console.print(table)
    moved = _moved(tally)
    if moved:
        console.print("\nNot sent, and why:", style="bold")
        for flow, message, reason, was, will in moved:
            console.print(f"  {flow} {message} {reason}: {was:,} → {will:,}", soft_wrap=True)
    console.print(f"\nBy customer: {plan.out / 'compare.jsonl'}", soft_wrap=True)


def _moved(tally: Tally) -> list[tuple[str, str, str, int, int]]:
    """The outcomes other than sent whose numbers differ."""
    keys = {key for side in tally.outcomes for key in side if key[2] != "send"}
    rows = [(key, tally.outcomes[0][key], tally.outcomes[1][key]) for key in sorted(keys)]
    return [
        (flow, message, f"{outcome} ({reason})", was, will)
        for (flow, message, outcome, reason), was, will in rows
        if was != will
    ]


def _number(count: int) -> str:
    return f"{count:,}" if count else "–"
