"""`make bench-bandits`: what bandits cost to learn, and how well a policy is judged from another one's log.

Needs hillstrom_email.csv.gz and open_bandit_sample.csv.gz in the folder that IMPULS_DATA names.  Ends with one line
`RESULT {json}`; `--html` writes the same as a page.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from html import escape
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import machine
from benchmarks.bandits import hillstrom, open_bandit
from operators.pages.document import document
from operators.pages.forest import Range, forest

HILLSTROM, OPEN_BANDIT = "hillstrom_email.csv.gz", "open_bandit_sample.csv.gz"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bandits", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("IMPULS_DATA"), help="the folder of both files")
    parser.add_argument("--replays", type=int, default=20, help="orders by chance in which the experiment is replayed")
    parser.add_argument("--horizon", type=int, default=15_000, help="choices of each replay")
    parser.add_argument("--html", type=Path, help="write a page to this file")
    asked = parser.parse_args(arguments)
    missing = [name for name in (HILLSTROM, OPEN_BANDIT) if asked.data is None or not (asked.data / name).is_file()]
    if missing:
        print(f"{' and '.join(missing)}: not in {asked.data or 'IMPULS_DATA, which is not set'}.", file=sys.stderr)
        return 2
    print("\n".join(machine.described()))
    regrets, regret_table = learn(asked.data / HILLSTROM, asked.replays, asked.horizon)
    judged = list(open_bandit.judge(open_bandit.read(asked.data / OPEN_BANDIT)))
    console = Console(width=110)
    console.print(regret_table)
    console.print(judgements(judged))
    if asked.html is not None:
        asked.html.write_text(page(regrets, judged), encoding="utf-8")
    supported = [each for each in judged if each.estimate.is_supported]
    result = {
        "regret": {name: round(value, 1) for name, (value, _) in regrets.items()},
        "reward_rate": {name: round(rate, 5) for name, (_, rate) in regrets.items()},
        "ope_supported": len(supported),
        "ope_unsupported": len(judged) - len(supported),
        "ope_within": sum(each.is_within for each in supported),
    }
    print("RESULT " + json.dumps(result))
    return 0


def learn(path: Path, replays: int, horizon: int) -> tuple[dict[str, tuple[float, float]], Table]:
    """Mean regret and rate of rewards by policy."""
    customers = hillstrom.read(path)
    best = max(hillstrom.means(customers).values())
    table = Table(
        "policy",
        title=f"Hillstrom's e-mails, {replays} replays of {horizon:,} choices: visits lost against the best arm",
    )
    for head in ("regret, mean", "from – to", "visits per choice"):
        table.add_column(head, justify="right")
    found = {}
    for name, policy in hillstrom.policies(customers):
        runs = [hillstrom.replay(customers, policy, seed, horizon) for seed in range(replays)]
        regrets = [run.regret(best) for run in runs]
        rate = sum(run.rewards for run in runs) / sum(run.tries for run in runs)
        found[name] = statistics.fmean(regrets), rate
        spread = f"{min(regrets):.0f} – {max(regrets):.0f}"
        table.add_row(name, f"{statistics.fmean(regrets):.1f}", spread, f"{rate:.4f}")
    return found, table


def judgements(judged: list[open_bandit.Judged]) -> Table:
    title = "Open Bandit: clicks in 1000 decisions of a policy, from the other's log"
    table = Table("campaign", "log of", "policy", "estimator", title=title)
    for head in ("estimate", "truth", "worth", "holds the truth"):
        table.add_column(head, justify="right")
    for each in judged:
        value, low, high = (1000 * number for number in each.estimate[:3])
        verdict = ("yes" if each.is_within else "no") if each.estimate.is_supported else "no support"
        numbers = f"{value:.1f} [{low:.1f}, {high:.1f}]", f"{1000 * each.truth.value:.1f}", f"{each.estimate.ess:,.0f}"
        table.add_row(each.campaign, each.log, each.policy, each.estimator, *numbers, verdict)
    return table


def page(regrets: dict[str, tuple[float, float]], judged: list[open_bandit.Judged]) -> str:
    lost = "".join(
        f'<tr><td>{escape(name)}</td><td class="n">{regret:.1f}</td><td class="n">{rate:.4f}</td></tr>'
        for name, (regret, rate) in regrets.items()
    )
    parts = ["<h1>Bandits</h1>", "<h2>What learning costs</h2>"]
    parts.append(
        "<p>Hillstrom's e-mail experiment, replayed. Regret: visits fewer than if the best arm had been known.</p>"
        f'<table><tr><th>policy</th><th class="n">regret</th><th class="n">visits per choice</th></tr>{lost}</table>'
    )
    parts.append("<h2>A policy judged from another one's log</h2>")
    for campaign, log, policy in dict.fromkeys((each.campaign, each.log, each.policy) for each in judged):
        mine = [each for each in judged if (each.campaign, each.log, each.policy) == (campaign, log, policy)]
        ranges = [
            Range(each.estimator, 1000 * each.estimate.value, 1000 * each.estimate.low, 1000 * each.estimate.high)
            for each in mine
        ]
        truth = mine[0].truth
        ranges.append(Range("truth: its own log", 1000 * truth.value, 1000 * truth.low, 1000 * truth.high))
        support = "" if mine[0].estimate.is_supported else " (no support: it is not to be told from this log)"
        parts.append(forest(f"{campaign}: {policy} from the log of {log}{support}", ranges, "clicks in 1000"))
    return document("Bandits", parts)


if __name__ == "__main__":
    raise SystemExit(main())
