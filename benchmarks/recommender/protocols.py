"""Who learns from what, and who is asked when."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from benchmarks.recommender.judging import Tally
from benchmarks.recommender.models import Model
from benchmarks.recommender.reading import Click, Unreadable


def stream(model: Model, clicks: Sequence[Click]) -> Tally:
    """Test, then learn, over the whole file: each click but a session's first is guessed before it is learnt from."""
    tally, seen = Tally(), defaultdict[str, set[str]](set)
    for click in clicks:
        before = seen[click.session]
        if before:
            _ask(model, click, before, tally)
        _learn(model, click, tally)
        before.add(click.item)
    return tally


def published(model: Model, clicks: Sequence[Click]) -> Tally:
    """Learn from `train`, then guess each step of `test` with a model that learns no more."""
    tally, seen = Tally(), defaultdict[str, set[str]](set)
    _splits(clicks)
    for click in clicks:
        if click.split == "train":
            _learn(model, click, tally)
    for click in clicks:
        if click.split == "test":
            before = seen[click.session]
            if before:
                _ask(model, click, before, tally)
            model.see(click)
            before.add(click.item)
    return tally


PROTOCOLS: dict[str, Callable[[Model, Sequence[Click]], Tally]] = {"stream": stream, "published": published}


def _splits(clicks: Iterable[Click]) -> None:
    there = {click.split for click in clicks}
    if not {"train", "test"} <= there:
        raise Unreadable(
            "the published protocol needs a column `split` with `train` and `test`; without one use PROTOCOL=stream."
        )


def _ask(model: Model, click: Click, before: set[str], tally: Tally) -> None:
    shown = tally.time_recommending(lambda: model.recommend(click.session, click.at))
    tally.judge(shown, click.item, click.item not in before)


def _learn(model: Model, click: Click, tally: Tally) -> None:
    tally.time_learning(click.item, lambda: model.learn(click))
