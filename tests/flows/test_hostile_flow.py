"""A flow whose own code raises, in a running worker: it is set aside, and nobody else notices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.flows.running import Running, running, until
from tests.state.hostile import raw

MODULE = '''
"""Three flows about poems; two of them cannot bear a bad one while the file `broken` is there."""

from datetime import timedelta
from pathlib import Path

from operators.flow import Flow, Template, on, send, wait
from state.events import Tracked

BROKEN = Path(__file__).with_name("broken")


def stumbles(customer):
    if BROKEN.exists():
        raise RuntimeError(f"no verse for {customer.id} at {customer.traits.phone}")


def is_poem(event, customer):
    return event.name == "Poem Read"


def is_fine_poem(event, customer):
    if event.name == "Poem Read" and event.properties.get("bad"):
        stumbles(customer)
    return event.name == "Poem Read"


def verse(event, customer):
    return {"verse": event.properties.get("verse", "")}


def slow_verse(event, customer):
    stumbles(customer)
    return {}


def told(name, content):
    return Template(name, content, channel="sms", kind="transactional")


FLOWS = [
    Flow("fragile", enter=on(Tracked, where=is_fine_poem), steps=[send(told("fragile", verse))]),
    Flow("slow", enter=on(Tracked, where=is_poem), steps=[
        send(told("slow_first", verse)), wait("a_moment", timedelta(milliseconds=200)), send(told("slow", slow_verse)),
    ]),
    Flow("sturdy", enter=on(Tracked, where=is_poem), steps=[send(told("sturdy", verse))]),
]
'''


# The worker runs without couriers: nobody is asked to send anything.
NOBODY_ANSWERS = '[sms]\nprovider = "json"\nurl = "http://127.0.0.1:9/messages"\nsender = "Poets"\ntoken = "t"\n'


class Poets:
    """People who read poems, in the shop's log."""

    def __init__(self, worker: Running) -> None:
        self.worker = worker
        self.number = 0

    def read(self, *people: str, bad: bool) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
        rows: list[tuple[bytes | None, bytes]] = []
        for person in people:
            self.number += 1
            base = {"userId": person, "timestamp": now}
            known = {**base, "type": "identify", "messageId": f"i{self.number}", "traits": {"phone": "+48600100200"}}
            poem = {"type": "track", "event": "Poem Read", "messageId": f"p{self.number}", "properties": {"bad": bad}}
            rows += [(person.encode(), raw(known)), (person.encode(), raw({**base, **poem}))]
        self.worker.append("clickstream", rows)

    def decided(self, message: str) -> dict[str, tuple[str, str]]:
        """Of each customer what was decided of a message; each once, however often the log tells it."""
        found: dict[str, dict[str, Any]] = {
            told["decision_id"]: told for told in self.worker.decisions() if told["message"] == message
        }
        people = {told["customer"]: (told["outcome"], told.get("reason", "")) for told in found.values()}
        assert len(people) == len(found), "somebody was decided about twice"
        return people

    def set_aside(self, flow: str) -> dict[str, str]:
        """Of each customer the id of her dead letter, by the command line."""
        ended = self.worker.impuls("dead-letters", "list", "--json")
        assert ended.code == 0, ended.err
        return {letter["customer"]: letter["id"] for letter in ended.lines() if letter.get("flow") == flow}


@pytest.fixture
def poets(tmp_path: Path) -> Iterator[Poets]:
    modules = tmp_path / "modules"
    modules.mkdir()
    (modules / "poem_flows.py").write_text(MODULE)
    (modules / "broken").touch()
    for template in ("fragile", "slow_first", "slow", "sturdy"):
        (modules / "templates" / template).mkdir(parents=True)
        (modules / "templates" / template / "sms.txt").write_text("{{ verse }}")
    with running(tmp_path, "poem_flows", modules, NOBODY_ANSWERS) as worker:
        yield Poets(worker)


@pytest.mark.timeout(240)
def test_a_flow_that_raises_is_set_aside_and_given_back_alone_and_stopped_when_it_goes_on(poets: Poets) -> None:
    worker, pid = poets.worker, poets.worker.beat()["pid"]
    broken = worker.path / "broken"

    # Two read a bad poem, one a good one: every flow but the one that stumbled has decided.
    poets.read("anna", "berta", bad=True)
    poets.read("clara", bad=False)
    until(lambda: len(worker.dead_letters()) == 5, "two at the event, three at the wake are set aside")
    assert poets.decided("fragile") == {"clara": ("send", "")}
    assert poets.decided("sturdy").keys() == poets.decided("slow_first").keys() == {"anna", "berta", "clara"}
    assert poets.decided("slow") == {}
    for letter in worker.dead_letters():
        assert letter.reason == "flow_error"
        assert "RuntimeError" in letter.error
        assert "poem_flows.py" in letter.error
        assert "in stumbles" in letter.error
        assert "verse for anna" not in letter.error
        assert "+48" not in letter.error
    log = (worker.config.parent / "log.jsonl").read_text()
    assert "+48" not in log
    assert "anna" not in log

    # Given back, with the flow mended: that flow alone goes on where it stumbled.
    broken.unlink()
    aside = {**poets.set_aside("fragile"), "clara": poets.set_aside("slow")["clara"]}
    assert aside.keys() == {"anna", "berta", "clara"}
    ended = worker.impuls("dead-letters", "replay", *aside.values())
    assert ended.code == 0, ended.err
    until(lambda: len(poets.decided("fragile")) == 3 and len(poets.decided("slow")) == 1, "they are decided now")
    assert set(poets.decided("fragile").values()) == {("send", "")}
    assert poets.decided("slow") == {"clara": ("send", "")}
    assert len(poets.decided("sturdy")) == len(poets.decided("slow_first")) == 3

    # Too many failures: the flow is stopped and says so, the worker and the other flows go on.
    broken.touch()
    poets.read(*(f"c{n}" for n in range(12)), bad=True)
    until(lambda: "fragile" in worker.beat().get("stopped_flows", []), "the flow is stopped")
    poets.read("dora", "ella", bad=True)
    until(lambda: poets.decided("sturdy").keys() >= {"dora", "ella"}, "the sturdy flow goes on")
    assert {person: poets.decided("fragile")[person] for person in ("dora", "ella")} == {
        "dora": ("skip", "flow_stopped"),
        "ella": ("skip", "flow_stopped"),
    }
    assert worker.beat()["pid"] == pid
    assert "fragile" in worker.impuls("status", "--json").lines()[0]["stopped_flows"]
    assert not [line for line in worker.told() if line["event"] in ("died", "restarted", "cannot start")]
