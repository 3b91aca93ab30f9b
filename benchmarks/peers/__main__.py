"""`python -m benchmarks.peers`: the peers' table, and one line `RESULT {json}`.  What it means: docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import sys
import time

from benchmarks import machine
from benchmarks.figures import spread
from benchmarks.peers.lineup import LINEUP
from benchmarks.peers.suite import CUSTOMERS, Row, ratios, run
from benchmarks.proof.deployment import Failed

EVENTS_PER_CUSTOMER = 7


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--only", default="", help="names, with commas: " + ",".join(peer.name for peer in LINEUP))
    parser.add_argument(
        "--events",
        type=int,
        default=EVENTS_PER_CUSTOMER * CUSTOMERS,
        help="about so many, and a seventh as many customers",
    )
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    asked = parser.parse_args(arguments)
    only = [name for name in asked.only.split(",") if name]
    if unknown := set(only) - {peer.name for peer in LINEUP}:
        parser.error(f"--only: there is no {', '.join(sorted(unknown))}")
    began = time.monotonic()
    print("\n".join(machine.described()), flush=True)
    try:
        rows = run(only, max(1, asked.events // EVENTS_PER_CUSTOMER), asked.repeat)
    except Failed as error:
        print(f"the peers cannot be run here: {error}", file=sys.stderr)
        return 1
    print("\n".join(table(rows)))
    print(f"\n{time.monotonic() - began:.0f} seconds in all")
    result: dict[str, object] = dict(ratios(rows))
    result["events_per_cpu_second"] = {row.peer.name: round(row.rate) for row in rows if row.rate is not None}
    print("RESULT " + json.dumps(result))
    return 1 if any(row.fault for row in rows) else 0


def table(rows: list[Row]) -> list[str]:
    """Fastest first; those without a speed last."""
    lines = ["", f"{'':<32}{'client':<14}{'events per CPU-second':<30}{'events':>9}{'customers':>11}  reminds"]
    for row in sorted(rows, key=lambda row: -(row.rate or 0)):
        told = spread(row.rates, ",.0f") if row.rate is not None else "—"
        lines.append(
            f"{row.peer.title:<32}{row.peer.client:<14}{told:<30}{row.events:>9,}{row.customers:>11,}  "
            + row.peer.promise.value
        )
        lines.append(f"    {row.peer.package or 'impuls'} {row.version}; {row.peer.settings}")
        lines.append(f"    guarantee: {row.peer.guarantee}")
        if row.fault:
            lines.append(f"    NOT MEASURED: {row.fault}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
