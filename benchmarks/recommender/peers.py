"""Recommenders that others wrote, each in an environment of its own, under the protocols of this harness."""

from __future__ import annotations

import json
import subprocess
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import NotInstalled, python_of
from benchmarks.recommender.reading import Click

_GRU4REC = Path(__file__).with_name("peer_gru4rec.py")


class Gru4Rec:
    """Learns from all at once, when it is first asked; so for the published protocol alone.

    `learn_seconds` and `recommend_seconds` are CPU time of its own process, as `Tally` has it of this one.  Raises
    `NotInstalled` where its environment cannot be made.
    """

    def __init__(self) -> None:
        command = [str(python_of("gru4rec")), str(_GRU4REC)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._learnt: list[tuple[str, str, int]] = []
        self._seen: defaultdict[str, list[str]] = defaultdict(list)
        self.learn_seconds: float | None = None
        self.recommend_seconds: list[float] = []

    def learn(self, click: Click) -> None:
        assert self.learn_seconds is None, "it learns no more"
        self._learnt.append((click.session, click.item, click.at))

    def see(self, click: Click) -> None:
        self._seen[click.session].append(click.item)

    def recommend(self, session: str, at: int) -> Sequence[str]:
        if self.learn_seconds is None:
            by_session: defaultdict[str, list[tuple[str, str, int]]] = defaultdict(list)
            for one in self._learnt:
                by_session[one[0]].append(one)
            told = self._ask({"learn": [one for each in by_session.values() for one in each]})
            self.learn_seconds = float(told["seconds"])
        told = self._ask({"seen": self._seen[session]})
        self.recommend_seconds.append(told["seconds"])
        return list(told["items"])

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise NotInstalled(f"GRU4Rec ended with {self._process.wait()}; what it said stands above")
        told: dict[str, Any] = json.loads(line)
        return told
