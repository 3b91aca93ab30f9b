"""The command behind `make bench-propensity`; ends with one line `RESULT {json}`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks import machine
from benchmarks.propensity import judging
from benchmarks.propensity.stream import events
from benchmarks.recommender.reading import Unreadable, read
from operators.propensity.contest import Target
from operators.propensity.features import features
from operators.propensity.forecasts import Forecasts
from operators.propensity.habits import DAY_MS
from operators.propensity.lessons import BUYS_MS, STAYS_MS, Lessons
from operators.propensity.online import Chance
from operators.propensity.visitors import Question
from state.events import Event

HORIZONS: dict[Target, int] = {"buys": BUYS_MS, "stays_away": STAYS_MS}
Answer = tuple[Question, bool]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.propensity", description=__doc__)
    parser.add_argument("data", type=Path, help="a file of views, carts and orders in RetailRocket's columns")
    parser.add_argument("--split", type=float, default=0.5, help="the share of the time that is learnt from")
    asked = parser.parse_args(arguments)
    try:
        stream = list(events(read(asked.data)))
    except Unreadable as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(machine.described()))
    print(f"\n{asked.data.name}: {len(stream):,} events, frozen after {asked.split:.0%} of the time\n")
    print("RESULT " + json.dumps(run(stream, asked.split)))
    return 0


def run(stream: list[tuple[bytes, Event]], split: float) -> dict[str, object]:
    began, ended = stream[0][1].at, stream[-1][1].at
    cut = began + round(split * (ended - began))
    answers: dict[Target, list[Answer]] = {"buys": [], "stays_away": []}
    lessons = Lessons("", on_answer=lambda target, question, came: answers[target].append((question, came)))
    started = time.thread_time()
    frozen: Forecasts | None = None
    learnt: dict[Target, list[Answer]] = {"buys": [], "stays_away": []}
    for who, event in stream:
        if frozen is None and event.at > cut:
            frozen = lessons.forecasts()
            learnt = {target: list(known) for target, known in answers.items()}
        lessons.pass_time(event.at - 1)
        lessons.take(who, event)
    spent = time.thread_time() - started
    lessons.pass_time(ended)
    assert frozen is not None
    drifts = {target: lessons.contest.score(target).drifts for target in HORIZONS}
    result: dict[str, object] = {"event_us": round(1e6 * spent / len(stream), 1), "drifts": drifts}
    for target, horizon in HORIZONS.items():
        asked = [each for each in answers[target] if cut < each[0].at <= ended - horizon]
        if learnt[target] and asked:
            result[target] = _judge(target, frozen, learnt[target], asked)
        else:
            print(f"{target}: no answers on both sides of the split; it takes {horizon // DAY_MS} days on each\n")
    return result


def _judge(target: Target, frozen: Forecasts, learnt: list[Answer], asked: list[Answer]) -> dict[str, float]:
    model = getattr(frozen, target)
    said = [(model.chance(features(question.habits, question.at)), came) for question, came in asked]
    rate = sum(came for _, came in learnt) / len(learnt)
    again = [each for each, (question, _) in zip(said, asked, strict=True) if question.habits.orders]
    bins = judging.calibration(said)
    print(f"{target}: learnt from {len(learnt):,} answers, asked {len(said):,} later ones")
    print(f"  {'answers':>8} {'said':>7} {'came':>7}")
    for each in bins:
        print(f"  {each.answers:>8} {each.said:>7.3f} {each.came:>7.3f}")
    print()
    return {
        "learnt": len(learnt),
        "asked": len(said),
        "came": round(sum(came for _, came in said) / len(said), 4),
        "auc": round(judging.auc(said), 4),
        "auc_had_bought": round(judging.auc(again), 4),
        "log_loss": round(judging.mean_log_loss(said), 4),
        "log_loss_base_rate": round(judging.mean_log_loss([(rate, came) for _, came in said]), 4),
        "calibration_error": round(judging.calibration_error(bins), 4),
        "learn_us": _learn_us(learnt),
    }


def _learn_us(learnt: list[Answer]) -> float:
    """CPU time of one answer, the features given; the best of three, since caches are shared with others."""
    seen = [(features(question.habits, question.at), came) for question, came in learnt]
    spent = []
    for _ in range(3):
        model, started = Chance(), time.thread_time()
        for each, came in seen:
            model.learn(each, came)
        spent.append(time.thread_time() - started)
    return round(1e6 * min(spent) / len(seen), 1)


if __name__ == "__main__":
    sys.exit(main())
