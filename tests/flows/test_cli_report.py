"""`impuls report`: over what a replay left, and beside a deployment that runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from state.instants import format_instant
from tests.flows.commands import Ended, asked, impuls
from tests.flows.deployments import Deployment, running, until

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
MONDAY = 1_767_571_200_000
PEOPLE = 60
SETTINGS = '[guards]\nmarketing_cap = "none"\nquiet_hours = "none"\nholdout_percent = 50\n'


def identify(customer: str, at: int) -> dict[str, Any]:
    traits = {"email": f"{customer}@example.invalid"}
    named = {"type": "identify", "messageId": f"{customer}-i", "userId": customer}
    return {**named, "timestamp": format_instant(at), "traits": traits}


def track(customer: str, at: int, event: str, **properties: Any) -> dict[str, Any]:
    named = {"type": "track", "event": event, "messageId": f"{customer}-{event}-{at}", "userId": customer}
    return {**named, "timestamp": format_instant(at), "properties": properties}


def shop() -> Iterator[dict[str, Any]]:
    """Each fills a cart, every second buys it a day later, every tenth of those gets half of it back."""
    for n in range(PEOPLE):
        customer, at = f"c{n}", MONDAY + n * HOUR
        yield identify(customer, at)
        yield track(customer, at, "Consent Granted", channel="email", topic="marketing")
        yield track(customer, at + 1, "Product Added", product_id="p1", cart_id=f"k{n}", price="19.99")
        if n % 2:
            yield track(customer, at + DAY, "Order Completed", order_id=f"o{n}", cart_id=f"k{n}", total="19.99")
        if n % 20 == 1:
            yield track(customer, at + 3 * DAY, "Order Refunded", order_id=f"o{n}", total="9.99")
    yield track("c0", MONDAY + 40 * DAY, "Product Viewed", product_id="p2")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("played")
    events = sorted(shop(), key=lambda event: str(event["timestamp"]))
    (folder / "shop.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
    (folder / "impuls.toml").write_text(f'secret_file = "{folder}/secret"\n{SETTINGS}')
    ended = impuls("replay", "shop.jsonl", "--out", "out", "--config", "impuls.toml", cwd=folder)
    assert ended.code == 0, ended.err
    return folder


REPORT = ("report", "--replay", "out", "--config", "impuls.toml")


def reported(folder: Path, *options: str | Path) -> Ended:
    return asked(*REPORT, *options, cwd=folder)


def lines(ended: Ended, kind: str = "line") -> list[dict[str, Any]]:
    assert ended.code == 0, ended.err
    return [line for line in ended.lines() if line["kind"] == kind]


def decided(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "out" / "decisions.jsonl").read_text().splitlines()]


def test_what_a_replay_decided_is_told_with_what_was_bought(played: Path) -> None:
    sends = [row for row in decided(played) if row["outcome"] == "send" and row["flow"] == "abandoned_cart"]
    [cart] = [
        line for line in lines(reported(played, "--json")) if line["flow"] == "abandoned_cart" and not line["message"]
    ]
    assert cart["sent"] == len(sends)
    assert cart["accepted"] is None  # nobody delivers in a replay
    lift, srm = cart["lift"], cart["srm"]
    held = {row["customer"] for row in decided(played) if row.get("reason") == "holdout"}
    assert srm["counts"] == {"treated": PEOPLE - len(held), "holdout": len(held)}
    assert lift["control_converted"] == sum(int(each[1:]) % 2 for each in held)
    assert not lift["proven"]


def test_revenue_is_exact_and_less_what_was_given_back(played: Path) -> None:
    held = {row["customer"] for row in decided(played) if row.get("reason") == "holdout"}
    buyers = [n for n in range(1, PEOPLE, 2) if f"c{n}" not in held]
    cents = 1999 * len(buyers) - 999 * sum(n % 20 == 1 for n in buyers)
    [everything] = [line for line in lines(reported(played, "--json")) if not line["flow"]]
    assert everything["orders"] == len(buyers)
    assert everything["revenue"] == [{"amount": f"{cents // 100}.{cents % 100:02}", "currency": "PLN"}]


def test_since_a_time_only_those_are_compared_who_came_since(played: Path) -> None:
    rows = [row for row in decided(played) if row["flow"] == "abandoned_cart" and row.get("reason") != "no_consent"]
    first = {row["customer"]: row["at"] for row in sorted(rows, key=lambda row: str(row["at"]), reverse=True)}
    since = format_instant(MONDAY + 30 * HOUR)
    came = sum(at >= since for at in first.values())
    assert came < len({row["customer"] for row in rows if row["at"] >= since}), "some came before and got more since"
    [cart] = [
        line
        for line in lines(reported(played, "--json", "--since", since))
        if line["flow"] == "abandoned_cart" and not line["message"]
    ]
    assert sum(cart["srm"]["counts"].values()) == came
    sends = [row for row in rows if row["outcome"] == "send" and row["at"] >= since]
    assert cart["sent"] == len(sends)


def test_one_flow_can_be_asked_for(played: Path) -> None:
    told = lines(reported(played, "--json", "--flow", "welcome"))
    assert {line["flow"] for line in told} == {"welcome"}
    ended = reported(played, "--flow", "wellcome")
    assert ended.code == 2
    assert "abandoned_cart" in ended.err


def test_the_same_replay_gives_the_same_report(played: Path) -> None:
    # Two that were started apart: their sets are not in the same order.
    assert impuls(*REPORT, "--json", cwd=played).out == reported(played, "--json").out


def test_events_that_are_somewhere_else_can_be_named_and_without_them_nothing_is_made_up(played: Path) -> None:
    with_events = reported(played, "--json").out
    elsewhere = (played / "shop.jsonl").rename(played / "moved.jsonl")
    try:
        assert all(line["converted"] is None for line in lines(reported(played, "--json")))
        assert reported(played, elsewhere, "--json").out == with_events
    finally:
        elsewhere.rename(played / "shop.jsonl")


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outside += [value for name, value in attrs if name in ("src", "href") and value]


def test_the_page_has_plots_and_needs_nothing_else(played: Path) -> None:
    ended = reported(played, "--html", "report.html")
    assert (ended.code, ended.out) == (0, "report.html\n")
    text = (played / "report.html").read_text()
    seen = _Seen()
    seen.feed(text)
    assert seen.tags.count("svg") >= 3
    assert "script" not in seen.tags
    assert seen.outside == []
    assert "abandoned_cart" in text


def test_people_read_a_table(played: Path) -> None:
    told = reported(played).out
    assert "abandoned_cart" in told
    assert "revenue" in told
    assert "all marketing" in told


def test_a_line_from_the_far_future_moves_no_clock(played: Path, tmp_path: Path) -> None:
    far = {**track("c0", MONDAY, "Product Viewed", product_id="p1"), "timestamp": "9999-12-31T00:00:00Z"}
    (tmp_path / "far.jsonl").write_text((played / "shop.jsonl").read_text() + json.dumps(far) + "\n")
    assert reported(played, tmp_path / "far.jsonl", "--json").out == reported(played, "--json").out


def test_a_folder_without_a_replay_is_named(played: Path, tmp_path: Path) -> None:
    ended = asked("report", "--replay", tmp_path, cwd=played)
    assert ended.code == 2
    assert "decisions.jsonl" in ended.err


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A worker that has welcomed four people an hour ago; nothing is sent yet."""
    with running(tmp_path_factory.mktemp("live"), "--only", "worker", settings=SETTINGS) as made:
        hour_ago = round(time.time() * 1000) - HOUR
        made.import_events(
            *(
                event
                for n in range(12)
                for event in (
                    identify(f"v{n}", hour_ago),
                    track(f"v{n}", hour_ago, "Consent Granted", channel="email", topic="marketing"),
                )
            )
        )
        assert until(lambda: len(made.decisions()) == 12), made.log()
        yield made


def test_a_deployment_is_told_of_beside_its_worker(deployment: Deployment) -> None:
    sent = [row for row in deployment.decisions() if row["outcome"] == "send"]
    assert len(sent) not in (0, 12), "half of them are held out"
    now = round(time.time() * 1000)
    mail = {"message_id": sent[0]["message_id"]}
    customer = sent[0]["customer"]
    apple = {**track(customer, now - 9, "Email Opened", **mail), "context": {"userAgent": "Mozilla/5.0"}}
    deployment.import_events(
        apple,
        track(customer, now - 8, "Email Link Clicked", **mail, link_url="https://shop.example/p1"),
        track(customer, now - 7, "Order Completed", order_id="o1", total="50.00", currency="PLN"),
        track(customer, now - 6, "Unsubscribed", **mail),
    )
    told = lines(deployment.impuls("report", "--json", "--flow", "welcome"))
    [line] = [each for each in told if not each["message"]]
    assert line["sent"] == len(sent)
    assert (line["opened"], line["clicked"], line["converted"], line["unsubscribed"]) == (1, 1, 1, 1)
    assert line["revenue"] == [{"amount": "50.00", "currency": "PLN"}]
    assert line["lift"] is None  # nobody's window is over
    assert line["unsent"] == {"holdout": 12 - len(sent)}
