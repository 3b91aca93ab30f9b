"""`make bench`: the short suite of measures, peers beside it, as a report and one line `RESULT {json}`.

What each number means: docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.ending import end_in_order
from benchmarks.live import ROOT, data_folder
from benchmarks.machine import described
from benchmarks.reports.page import page
from benchmarks.reports.report import SCHEMA, Report, save
from benchmarks.runs import place
from benchmarks.sink import Sink
from benchmarks.suite import beside, costs, fanout, levels, processes, provider, recovery, restart
from benchmarks.suite.stage import SHORT, TINY, Gathered, Stage, Tell
from flows import huge_pages
from state.instants import format_instant

PARTS = ("latency", "hot-key", "fan-out", "provider", "processes", "spike", "outages", "restart", "costs", "peers")
SATURATION = 1_000.0  # assumed where latency is not among the parts


@dataclass(frozen=True)
class Suite:
    """What was asked for."""

    parts: tuple[str, ...] = PARTS
    tiny: bool = False
    waiting: int = SHORT.waiting
    out: Path = ROOT / ".local" / "bench" / "report.json"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__)
    parser.add_argument("--only", help=f"some of {', '.join(PARTS)}, with commas between")
    parser.add_argument("--tiny", action="store_true", help="a little of all, to try the harness: numbers mean nothing")
    parser.add_argument("--waiting", type=int, default=Suite.waiting, help="who hear of one product in the fan-out")
    parser.add_argument("--out", type=Path, default=Suite.out, help="the report; a page is put beside it")
    asked = parser.parse_args(arguments)
    parts = tuple(asked.only.split(",")) if asked.only else PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--only {', '.join(sorted(unknown))}: there is no such part. Choose some of {', '.join(PARTS)}.")
    began = time.monotonic()
    print("\n".join(described()), flush=True)
    found = run(Suite(parts, asked.tiny, asked.waiting, asked.out), lambda text: print(text, flush=True))
    write(found, "The short suite", "Latency, recovery, scaling and what safety costs.", asked.out)
    print("\n".join(verdicts(found)))
    print(
        f"\n{time.monotonic() - began:.0f} seconds in all; the report: {asked.out} and {asked.out.with_suffix('.html')}"
    )
    print("RESULT " + json.dumps(result(found)))
    return 0


def run(suite: Suite, tell: Tell) -> Gathered:
    """Each part in turn; one that fails is told of and does not keep the others from being measured."""
    found, saturation = Gathered(), SATURATION
    with data_folder() as folder, Sink() as sink:
        stage = Stage(folder, sink.port, TINY if suite.tiny else replace(SHORT, waiting=suite.waiting), tell)
        tell(f"one worker, one courier, embedded log; mail server: {sink.what}, same machine")
        for part in suite.parts:
            tell(f"\n{part}")
            began = time.monotonic()
            try:
                if part == "latency":
                    gathered, saturation = levels.levels(stage)
                else:
                    gathered = _run_part(part, stage, saturation)
            except Exception as error:
                tell(f"  not measured: {type(error).__name__}: {error}")
                gathered = Gathered(warnings=[f"{part}: not measured: {type(error).__name__}: {error}"])
            found += gathered
            tell(f"  {time.monotonic() - began:.0f} s")
    return found


def _run_part(part: str, stage: Stage, saturation: float) -> Gathered:
    if part == "outages":
        found = recovery.mail_outage(stage, saturation)
        found += recovery.outage(stage, saturation)
        return found
    parts: dict[str, Callable[[], Gathered]] = {
        "hot-key": lambda: levels.hot_key(stage, saturation),
        "fan-out": lambda: fanout.fan_out(stage, saturation),
        "provider": lambda: provider.silent_provider(stage, saturation),
        "processes": lambda: processes.processes(stage),
        "spike": lambda: recovery.spike(stage, saturation),
        "restart": lambda: restart.restart(stage),
        "costs": lambda: costs.costs(stage, saturation),
        "peers": lambda: beside.beside(stage),
    }
    return parts[part]()


def write(found: Gathered, title: str, says: str, out: Path) -> None:
    report = Report(
        schema=SCHEMA,
        title=title,
        says=says,
        made_at=format_instant(round(time.time() * 1000)),
        place=place(),
        settings={},
        measures=found.measures,
        curves=found.curves,
        warnings=found.warnings,
    )
    save(report, out)
    out.with_suffix(".html").write_text(page(report), encoding="utf-8")


def verdicts(found: Gathered) -> Iterator[str]:
    """Which goals were reached and which were not."""
    with_goals = [each for each in found.measures if each.goal is not None]
    if with_goals:
        yield "\ngoals"
    for each in with_goals:
        sign = "≤" if each.better == "less" else "≥"
        word = "reached" if each.reached else "MISSED"
        yield f"  {word:<8} {each.says}: {each.median:.2f} {each.unit} (goal {sign} {each.goal:g})"
    if found.warnings:
        yield "\nto be read with care"
        yield from (f"  {warning}" for warning in found.warnings)


def result(found: Gathered) -> dict[str, object]:
    """What others rely on; None for what was not measured."""

    def shown(name: str) -> float | None:
        value = found.value(name)
        return None if value is None else round(value, 3)

    return {
        **{name: shown(name) for name in beside.SAYS},
        "append_to_accepted_ms": {name: shown(f"accepted_at_50_{name}_ms") for name in ("p50", "p99", "p999")},
        "recovery_s": shown("recovery_s"),
        "two_processes": shown("two_processes"),
        "hot_key_p99_ratio": shown("hot_key_p99_ratio"),
        "fan_out_p99_ratio": shown("fan_out_p99_ratio"),
        "silent_provider_p99_ratio": shown("silent_provider_p99_ratio"),
        "mail_outage_live_p99_ms": shown("mail_outage_live_p99_ms"),
        "saturation_events_a_second": shown("saturation_events_a_second"),
        "missed": [each.name for each in found.measures if each.reached is False],
    }


if __name__ == "__main__":
    huge_pages.start_again()  # as `impuls` does
    end_in_order()
    sys.exit(main())
