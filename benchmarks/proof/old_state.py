"""State as a released version left it: made once with that version, kept, and gone on with by every later one.

`python -m benchmarks.proof.old_state FILE.tar.gz` makes one with the code as it is: customers in every flow, some
with a message that the mail server did not take yet, and a deployment that was killed.
"""

from __future__ import annotations

import json
import os
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.proof.crowd import AHEAD_MS, DAYS, HOUR, Crowd, last_word
from benchmarks.proof.deployment import Deployment, Failed, Plan
from benchmarks.proof.feed import append
from benchmarks.proof.flows_proved import NAMES, turns
from benchmarks.proof.mail_server import MailServer
from benchmarks.proof.regulars import Regulars
from benchmarks.proof.verdict import Verdict, final_decisions, judge_decisions, judge_mails
from state.instants import parse_instant
from state.secret import load_or_make
from tests.flows import oracle

PLAN = Plan("log", "replay", workers=1, couriers=1, shards=2, partitions=1, smtp_timeout_seconds=2.0)
START = parse_instant("2024-03-04T07:00:00Z")
SEED = 1
EVENTS = 150
KEPT = ("data", "secret", "events.jsonl", "mails.jsonl")
SECONDS_MAX = 300.0


def make(into: Path) -> None:
    """Raises `Failed`."""
    with tempfile.TemporaryDirectory() as made, _deployed(Path(made)) as (deployment, mail):
        folder = Path(made)
        regulars = Regulars(SEED, START, "r.")
        first = [*regulars.history(), *islice(Crowd(SEED, START, DAYS, "c."), EVENTS)]
        append(deployment, first)
        deployment.await_applied()
        mail.be("away")
        append(deployment, (news := regulars.news(HOUR)))
        deployment.await_applied()
        deployment.end()
        mail.mails()
        lines = (json.dumps(each.event) + "\n" for each in [*first, *news])
        (folder / "events.jsonl").write_text("".join(lines))
        with tarfile.open(into, "w:gz") as out:
            for name in KEPT:
                out.add(folder / name, name, filter=_wanted)


def go_on(kept: Path, folder: Path) -> Verdict:
    """Start on it, play everything out, and judge all there is, from the first event on.  Raises `Failed`."""
    with tarfile.open(kept) as packed:
        packed.extractall(folder, filter="data")
    for path in folder.rglob("*"):
        os.utime(path)  # the log keeps files by their age, and these are to be kept
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    with _deployed(folder) as (deployment, mail):
        return _played_out(deployment, mail, events)


def _played_out(deployment: Deployment, mail: MailServer, events: list[dict[str, Any]]) -> Verdict:
    last = max(parse_instant(each["timestamp"]) for each in events)
    append(deployment, [last_word(last + AHEAD_MS)])
    turn = turns(load_or_make(deployment.settings.secret_file))
    expected = oracle.expected(events, AHEAD_MS - HOUR, flows=NAMES, turn=turn)

    def is_done() -> bool:
        told = final_decisions(deployment.records("decisions"))
        must = {id for id, each in told.items() if each.outcome == "send"}
        return len(told) >= len(expected) and must <= {each.message_id for each in mail.mails()}

    deployment.wait(is_done, SECONDS_MAX, "done with all that was to come")
    deployment.stop()  # retries are decided for as long as it runs, and topic and store are read one after the other
    verdict, stored = Verdict(), deployment.decisions_in_store()
    judge_decisions(verdict, deployment.records("decisions"), stored, expected)
    judge_mails(verdict, mail.mails(), stored, [], 0)
    return verdict


@contextmanager
def _deployed(folder: Path) -> Iterator[tuple[Deployment, MailServer]]:
    mail = MailServer(folder / "mails.jsonl")
    deployment = Deployment(folder, PLAN, mail.port)
    try:
        deployment.start()
        yield deployment, mail
    finally:
        deployment.end()
        mail.close()


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """All but sockets, what processes tell of themselves, and RocksDB's own diary."""
    parts = member.name.split("/")
    is_chatter = "bells" in parts or "run" in parts or parts[-1].startswith("LOG") or parts[-1] == "LOCK"
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return None if is_chatter or not (member.isfile() or member.isdir()) else member


if __name__ == "__main__":
    try:
        make(Path(sys.argv[1]))
    except Failed as error:
        sys.exit(str(error))
