"""What choices learn from, and the process that publishes new shares for them every so often.

It reads what `impuls report` reads: decisions out of the store, results and engagement out of the log.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.settings import Settings
from flows.catalog import load
from flows.cli.report_sources import Promises, from_deployment, from_replay
from flows.cli.scanning import Progress
from flows.published_models import FOLDER
from flows.published_shares import publish
from flows.worker_process import Beat, prepare, settings_for, told_by_supervisor
from operators.bandits.schedule import Entry, Schedule
from operators.bandits.training import beginning, next_entry
from operators.bandits.tries import Tried, tried
from operators.flow import Flow
from operators.measuring import rows
from operators.program import choices
from operators.steps import Choose
from state.records import LogError
from state.sorter import Sorter
from state.store_errors import StoreError

log = logging.getLogger("impuls.choices")

REMEMBERED = 8  # halvings after which what was seen is not read any more: it counts 1/256


@dataclass(frozen=True)
class Known:
    """The tries of each choice, and the moment up to which answers are known (event time)."""

    tries: Mapping[str, Sequence[Tried]]
    now: int
    live: bool


def known(
    settings: Settings,
    flows: Sequence[Flow[Any]],
    *,
    replayed: Path | None = None,
    files: Sequence[Path] = (),
    since: int = 0,
    progress: Progress = lambda *_: None,
) -> Known:
    """Of a deployment, or of what a replay left in a folder."""
    learns = {name: step.learns for name, step in choices(flows).items()}
    found: defaultdict[str, list[Tried]] = defaultdict(list)
    with Sorter() as sorter:
        if replayed is not None:
            source = from_replay(replayed, files, settings, sorter, since, progress)
        else:
            source = from_deployment(settings, Promises.of(flows), sorter, since, progress)
        for _, raw in sorter.owners():
            for each in tried([rows.decode(row) for row in raw], learns, delivers=source.delivers):
                found[each.choice].append(each)
    latest = max((each.one.at for tries in found.values() for each in tries), default=0)
    return Known(found, latest if source.clock is None else source.clock, live=replayed is None)


def learn(settings: Settings, flows: Sequence[Flow[Any]], known: Known) -> list[Entry]:
    """Publish the shares that follow, for the choices whose shares move."""
    steps: dict[str, Choose[Any]] = choices(flows)

    def made(there: Schedule) -> list[Entry]:
        next_ones = [
            next_entry(step, known.tries.get(name, ()), there.last(name), known.now)
            for name, step in sorted(steps.items())
        ]
        now = round(time.time() * 1000) if settings.clock == "live" and known.live else known.now
        return [beginning(entry, there.last(entry.choice), now) for entry in next_ones if entry is not None]

    return publish(settings.data_dir / FOLDER, made)


def since_when(flows: Sequence[Flow[Any]], now: int) -> int:
    """What was seen before does not count any more."""
    longest = max((step.learns.half_forgotten.total_seconds() for step in choices(flows).values()), default=0)
    return max(0, now - round(REMEMBERED * longest * 1000))


def _turn(settings: Settings) -> None:
    flows = load(settings.flows).program.all
    since = since_when(flows, round(time.time() * 1000)) if settings.clock == "live" else 0
    for entry in learn(settings, flows, known(settings, flows, since=since)):
        told = {"choice": entry.choice, "number": entry.number, "shares": entry.shares, "state": entry.state}
        log.info("shares published", extra=told)


def main() -> None:
    """`python -m flows.learner_choices {"config": …}`: the supervisor's way to start it."""
    told = told_by_supervisor()
    settings = settings_for(told["config"])
    # What it reads may be long; nothing of it is worth waiting for, and what it writes is whole or not there.
    prepare("choices", on_stop=_leave)
    beat = Beat(settings.data_dir, "learner-choices")
    log.info("started")
    while True:
        try:
            _turn(settings)
        except (LogError, StoreError, OSError) as error:
            log.warning("nothing learnt", extra={"fact": str(error)})
        beat.tell({"ready": True})
        time.sleep(settings.choices.learn_every / 1000)


def _leave() -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
