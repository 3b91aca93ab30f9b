"""Choices that learn, by the commands: replayed, learnt from, published, judged; and what a damaged file does."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from config import load as load_settings
from flows.catalog import CatalogError, load
from flows.cli.choosing import app
from flows.cli_replay import Replay, replay
from flows.published_shares import SharesFile, publish
from operators.bandits.schedule import Entry
from state.instants import format_instant

HOUR, MONDAY = 3_600_000, 1_767_571_200_000
PEOPLE = 400
CURIOUS = '''
"""Which subject line makes people click."""
from flows.messages import greeting
from operators.flow import Flow, Template, arm, choose, on, send, thompson
from state.events import ProductAdded

short, long = Template("short", greeting), Template("long", greeting)
curious = Flow("curious", enter=on(ProductAdded), steps=[
    choose("subject", arm("short", 50, send(short)), arm("long", 50, send(long)), learns=thompson("click")),
])
FLOWS = [curious]
'''
SETTINGS = '[guards]\nmarketing_cap = "none"\nquiet_hours = "none"\n'


def event(customer: str, at: int, name: str, **properties: Any) -> dict[str, Any]:
    named = {"type": "track", "event": name, "messageId": f"{customer}-{name}-{at}", "userId": customer}
    return {**named, "timestamp": format_instant(at), "properties": properties}


def shop() -> list[dict[str, Any]]:
    """One comes every half hour."""
    events = []
    for n in range(PEOPLE):
        customer, at = f"c{n}", MONDAY + n * HOUR // 2
        who = {"type": "identify", "messageId": f"{customer}-i", "userId": customer, "timestamp": format_instant(at)}
        events.append({**who, "traits": {"email": f"{customer}@example.invalid"}})
        events.append(event(customer, at, "Consent Granted", channel="email", topic="marketing"))
        events.append(event(customer, at + 1, "Product Added", product_id="p", cart_id="k"))
    return events


def write(path: Path, events: list[dict[str, Any]]) -> None:
    events = sorted(events, key=lambda each: str(each["timestamp"]))
    path.write_text("".join(json.dumps(each) + "\n" for each in events))


def told(*arguments: str) -> list[dict[str, Any]]:
    """What `impuls choices …` prints."""
    ended = CliRunner().invoke(app, [*arguments, "--config", "impuls.toml", "--json"])
    assert ended.exit_code == 0, ended.output
    return [json.loads(line) for line in ended.stdout.splitlines()]


def replayed(folder: Path, *, models: Path | None = None, workers: int = 1, batch: int = 5_000) -> list[dict[str, Any]]:
    settings = load_settings(folder / "impuls.toml", {})
    plan = Replay((folder / "shop.jsonl",), folder / "out", settings, b"secret", models=models)
    replay(replace(plan, workers=workers, batch_size=batch))
    return [json.loads(line) for line in (folder / "out" / "decisions.jsonl").read_text().splitlines()]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for module in ("curious", "picky"):  # of an earlier test's folder
        monkeypatch.delitem(sys.modules, module, raising=False)
    (tmp_path / "curious.py").write_text(CURIOUS)
    (tmp_path / "impuls.toml").write_text(f'data_dir = "data"\nflows = "curious"\nsecret_file = "secret"\n{SETTINGS}')
    write(tmp_path / "shop.jsonl", shop())
    return tmp_path


def shares(number: int, begins: int, short: float) -> Entry:
    return Entry(choice="subject", number=number, begins=begins, shares={"": {"short": short, "long": 1 - short}})


def test_a_replay_by_the_same_shares_decides_the_same_however_the_work_is_cut(folder: Path) -> None:
    middle = MONDAY + PEOPLE // 2 * HOUR // 2
    publish(folder / "data" / "models", lambda _: [shares(1, middle, 0.9)])
    made = replayed(folder, models=folder / "data" / "models")
    whole = (folder / "out" / "decisions.jsonl").read_bytes()
    before, after = made[: PEOPLE // 2], made[PEOPLE // 2 :]
    assert {(each["propensity"], each.get("shares", 0)) for each in before} == {(0.5, 0)}
    assert {each["shares"] for each in after} == {1}
    assert Counter(each["arm"] for each in after)["short"] >= 160  # 180 of 200, less 4.7 standard deviations
    replayed(folder, models=folder / "data" / "models", batch=7)
    assert (folder / "out" / "decisions.jsonl").read_bytes() == whole
    assert {each.get("shares", 0) for each in replayed(folder)} == {0}, "without the models nothing was learnt"


def test_what_people_click_is_learnt_published_and_drawn_by_and_another_policy_judged(folder: Path) -> None:
    made = replayed(folder)
    clicks = []
    for n, each in enumerate(made):
        # Every second long one is clicked, every tenth short one.
        if n % (2 if each["arm"] == "long" else 10) == 0:
            at = MONDAY + n * HOUR // 2 + HOUR
            agent = "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"
            link = {"message_id": each["message_id"], "link_url": "https://shop.example/p", "user_agent": agent}
            clicks.append(event(each["customer"], at, "Email Link Clicked", **link))
    assert clicks
    write(folder / "shop.jsonl", [*shop(), *clicks])
    assert [each["message_id"] for each in replayed(folder)] == [each["message_id"] for each in made]

    [learnt] = told("learn", "--replay", "out")
    assert (learnt["number"], learnt["tries"]) == (1, PEOPLE)
    assert learnt["shares"][""]["long"] > 0.9
    assert learnt["shares"][""]["short"] == pytest.approx(0.02), "the floor: the other can still be judged"
    [listed] = told("list")
    assert listed == learnt
    assert told("learn", "--replay", "out") == [], "nothing moved"

    [judged] = told("judge", "subject", "--replay", "out")
    rate = {arm: _rate(made, clicks, arm) for arm in ("short", "long")}
    true = 0.98 * rate["long"] + 0.02 * rate["short"]
    for name in ("ips", "snips", "doubly_robust"):
        assert judged[name]["supported"]
        assert judged[name]["low"] <= true <= judged[name]["high"]
    [same] = told("judge", "subject", "--replay", "out", "--shares", "short=50,long=50")
    assert same["snips"]["value"] == pytest.approx(same["earned"])
    wrong = CliRunner().invoke(app, ["judge", "subjekt", "--replay", "out", "--config", "impuls.toml"])
    assert wrong.exit_code == 2


def test_shares_are_held_until_they_are_released(folder: Path) -> None:
    publish(folder / "data" / "models", lambda _: [shares(1, 1, 0.9), shares(2, 2, 0.3)])
    [held] = told("hold", "subject", "--number", "1")
    assert (held["number"], held["state"]) == (3, "held")
    assert held["shares"] == {"": {"short": 0.9, "long": pytest.approx(0.1)}}
    replayed(folder)
    assert told("learn", "--replay", "out") == []
    [own] = told("hold", "subject", "--shares", "short=25,long=75")
    assert own["shares"] == {"": {"short": 0.25, "long": 0.75}}
    [free] = told("release", "subject")
    assert (free["number"], free["state"], free["shares"]) == (5, "learning", own["shares"])
    assert told("list") == [free]
    [learnt] = told("learn", "--replay", "out")
    assert (learnt["number"], learnt["tries"]) == (6, PEOPLE)


def test_shares_may_be_said_for_those_of_whom_a_condition_holds(folder: Path) -> None:
    conditions = "def is_new(event, customer): return True\n\ndef is_rich(event, customer): return True\n"
    curious = CURIOUS.replace('thompson("click")', 'thompson("click"), by=[is_new, is_rich]')
    (folder / "picky.py").write_text(curious.replace("short, long =", conditions + "\nshort, long ="))
    (folder / "impuls.toml").write_text((folder / "impuls.toml").read_text().replace('"curious"', '"picky"'))
    [held] = told("hold", "subject", "--shares", "short=40,long=60", "--shares", "is_rich is_new: short=100")
    assert held["shares"] == {
        "": {"long": 0.6, "short": 0.4},
        "is_new": {"long": 0.6, "short": 0.4},
        "is_rich": {"long": 0.6, "short": 0.4},
        "is_new is_rich": {"long": 0.0, "short": 1.0},
    }
    made = replayed(folder, models=folder / "data" / "models")
    assert {each.get("shares", 0) for each in made} == {0}, "what is held from now on says nothing of what was"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["hold", "subject", "--number", "7"], "There are no shares 7"),
        (["hold", "subject", "--number", "1", "--shares", "short=50,long=50"], "not both"),
        (["hold", "subject", "--shares", "short=50,long=40"], "add up to 100"),
        (["hold", "subject", "--shares", "short=nan,long=50"], "add up to 100"),
        (["hold", "subject", "--shares", "is_old: short=50,long=50"], "names no conditions"),
        (["release", "subject"], "not held"),
    ],
)
def test_what_cannot_be_held_is_told(folder: Path, command: list[str], says: str) -> None:
    ended = CliRunner().invoke(app, [*command, "--config", "impuls.toml"], env={"COLUMNS": "300"})
    assert ended.exit_code == 2
    assert says in ended.output
    assert told("list")[0]["number"] == 0


def _rate(made: list[dict[str, Any]], clicks: list[dict[str, Any]], arm: str) -> float:
    mine = {each["message_id"] for each in made if each["arm"] == arm}
    return len(mine & {each["properties"]["message_id"] for each in clicks}) / len(mine)


def test_an_entry_half_written_is_not_there_and_the_next_one_takes_its_place(tmp_path: Path) -> None:
    publish(tmp_path, lambda _: [shares(1, 1, 0.5)])
    path = SharesFile(tmp_path).path
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-10])
    following = SharesFile(tmp_path)
    assert following.schedule.last("subject") == shares(1, 1, 0.5)
    publish(tmp_path, lambda there: [shares(2, 2, 0.25)] if there.last("subject") else [])
    following.follow()
    assert following.schedule.last("subject") == shares(2, 2, 0.25)
    assert following.schedule.at("subject", 1) == shares(1, 1, 0.5)


def test_shares_that_cannot_be_read_are_named_at_the_start_and_passed_over_while_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "curious_choices.py").write_text(CURIOUS)
    monkeypatch.syspath_prepend(str(tmp_path))
    publish(tmp_path, lambda _: [shares(1, 1, 0.5)])
    catalog = load("curious_choices", tmp_path)
    with (tmp_path / "shares.jsonl").open("ab") as file:
        file.write(b'{"choice": "subject"}\n')
    catalog.follow()
    assert catalog.program.schedule.last("subject") == shares(1, 1, 0.5)
    with pytest.raises(CatalogError, match=r"shares\.jsonl, at byte \d+"):
        load("curious_choices", tmp_path)
