"""The command behind `make bench-recommender`; ends with one line `RESULT {json}`."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from benchmarks import machine
from benchmarks.recommender.models import BASELINES, Ours
from benchmarks.recommender.protocols import PROTOCOLS
from benchmarks.recommender.reading import Unreadable, read

_COLUMNS = ("hr20", "mrr20", "new_hr20", "learn_us", "recommend_p99_us")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recommender", description=__doc__)
    parser.add_argument("data", type=Path, help="a file of clicks: ts,session,item[,split], or RetailRocket's")
    parser.add_argument("--protocol", choices=sorted(PROTOCOLS), default="stream")
    parser.add_argument("--baselines", default=",".join(BASELINES), help="which to run beside it, or none")
    asked = parser.parse_args(arguments)
    names = [name for name in asked.baselines.split(",") if name and name != "none"]
    if unknown := set(names) - BASELINES.keys():
        parser.error(f"no baseline is called {', '.join(sorted(unknown))}; there are {', '.join(BASELINES)}")
    try:
        result = run(asked.data, asked.protocol, names)
    except Unreadable as error:
        print(error, file=sys.stderr)
        return 2
    print("RESULT " + json.dumps(result))
    return 0


def run(data: Path, protocol: str, baselines: list[str]) -> dict[str, object]:
    clicks = read(data)
    items = len({click.item for click in clicks})
    print("\n".join(machine.described()))
    print(f"\n{data.name}: {len(clicks):,} clicks on {items:,} items, protocol {protocol}\n")
    print(f"{'model':<16}" + "".join(f"{column:>18}" for column in _COLUMNS))
    judged = PROTOCOLS[protocol]
    ours = judged(Ours(), clicks).result()
    _tell("impuls", ours)
    beside: dict[str, object] = {}
    for name in baselines:
        beside[name] = scored = judged(BASELINES[name](), clicks).result()
        _tell(name, scored)
    print()
    return {**ours, "items": items, "clicks": len(clicks), "protocol": protocol, "baselines": beside}


def _tell(name: str, scored: dict[str, float]) -> None:
    print(f"{name:<16}" + "".join(f"{scored[column]:>18}" for column in _COLUMNS), flush=True)


if __name__ == "__main__":
    sys.exit(main())
