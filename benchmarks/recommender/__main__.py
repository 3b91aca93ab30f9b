"""The command behind `make bench-recommender`; ends with one line `RESULT {json}`."""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import closing
from pathlib import Path

from benchmarks import machine
from benchmarks.peers.environments import NotInstalled
from benchmarks.proof.retailrocket import data_set
from benchmarks.recommender.models import BASELINES, Ours, Reranked
from benchmarks.recommender.peers import Gru4Rec
from benchmarks.recommender.protocols import PROTOCOLS, published, stream
from benchmarks.recommender.reading import Click, Unreadable, read
from flows import huge_pages
from flows.worker_process import spare_the_collector

_COLUMNS = ("hr20", "mrr20", "ndcg20", "new_hr20", "cold_hr20", "warm_hr20", "coverage20", "novelty20", "learn_us")
_MORE = "recommend_p99_us"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recommender", description=__doc__)
    told = "a file of clicks: ts,session,item[,split], or RetailRocket's own; else that in the folder IMPULS_DATA"
    parser.add_argument("data", nargs="?", default="", help=told)
    parser.add_argument("--protocol", choices=sorted(PROTOCOLS), default="stream")
    parser.add_argument("--baselines", default=",".join(BASELINES), help="which to run beside it, or none")
    parser.add_argument(
        "--gru4rec", action="store_true", help="also GRU4Rec, in an environment of 5 GB; published only"
    )
    parser.add_argument("--rerank", action="store_true", help="also as River's models order them, over the stream")
    asked = parser.parse_args(arguments)
    names = [name for name in asked.baselines.split(",") if name and name != "none"]
    if unknown := set(names) - BASELINES.keys():
        parser.error(f"no baseline is called {', '.join(sorted(unknown))}; there are {', '.join(BASELINES)}")
    data = Path(asked.data) if asked.data else data_set()
    if asked.gru4rec and asked.protocol != "published":
        parser.error("--gru4rec learns from all at once: ask with --protocol published")
    if data is None:
        parser.error("name a file of clicks: make bench-recommender DATA=clicks.csv.gz")
    try:
        result = run(data, asked.protocol, names, rerank=asked.rerank, gru4rec=asked.gru4rec)
    except Unreadable as error:
        print(error, file=sys.stderr)
        return 2
    print("RESULT " + json.dumps(result))
    return 0


def run(
    data: Path, protocol: str, baselines: list[str], *, rerank: bool = False, gru4rec: bool = False
) -> dict[str, object]:
    clicks = read(data)
    items = len({click.item for click in clicks})
    print("\n".join(machine.described()))
    print(f"\n{data.name}: {len(clicks):,} clicks on {items:,} items, protocol {protocol}\n")
    print(f"{'model':<16}" + "".join(f"{column:>11}" for column in _COLUMNS) + f"{_MORE:>18}")
    judged = PROTOCOLS[protocol]
    ours = judged(Ours(), clicks).result()
    _tell("impuls", ours)
    reranked = _reranked(clicks) if rerank else {}
    beside: dict[str, object] = {}
    for name in baselines:
        beside[name] = scored = judged(BASELINES[name](), clicks).result()
        _tell(name, scored)
    if gru4rec:
        beside["gru4rec"] = _gru4rec(clicks)
    print()
    about = {"items": items, "clicks": len(clicks), "protocol": protocol}
    return {**ours, **about, "baselines": beside, "reranked": reranked}


def _gru4rec(clicks: list[Click]) -> dict[str, float] | None:
    """None where it cannot be installed, which is told."""
    try:
        with closing(Gru4Rec()) as model:
            tally = published(model, clicks)
            tally.learn_seconds, tally.recommend_seconds = model.learn_seconds or 0.0, model.recommend_seconds
    except NotInstalled as error:
        print(f"{'gru4rec':<16} not run: {error}", flush=True)
        return None
    scored = tally.result()
    _tell("gru4rec", scored)
    return scored


def _reranked(clicks: list[Click]) -> dict[str, object]:
    """The same candidates in other orders; River's models are judged before they learn, so by the stream alone."""
    model = Reranked()
    scored = stream(model, clicks).result()
    _tell("re-ranked", scored)
    before = model.found["as they come"].result()["mrr20"] or 1.0
    told: dict[str, object] = {"swaps": model.reranking.champion.number, "recommend_p99_us": scored[_MORE]}
    for name, hits in model.found.items():
        mrr = hits.result()["mrr20"]
        told[name] = {"mrr20": mrr, "lift": round(mrr / before - 1, 4)}
        print(f"    {name:<16} mrr20 {mrr:.4f} {100 * (mrr / before - 1):+.2f} %", flush=True)
    return told


def _tell(name: str, scored: dict[str, float]) -> None:
    print(f"{name:<16}" + "".join(f"{scored[column]:>11}" for column in _COLUMNS) + f"{scored[_MORE]:>18}", flush=True)


if __name__ == "__main__":
    huge_pages.start_again()  # as `impuls` does,
    spare_the_collector()  # and its processes
    sys.exit(main())
