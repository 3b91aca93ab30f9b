"""The commands as their users type them, beside a deployment that runs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows import FLOWS
from state.instants import format_instant
from tests.flows.commands import impuls
from tests.flows.deployments import Deployment, running, until

MINUTE, HOUR = 60_000, 3_600_000
NO_LIMITS = '[guards]\nmarketing_cap = "none"\nquiet_hours = "none"'


def ago(ms: int) -> str:
    return format_instant(round(time.time() * 1000) - ms)


def identify(customer: str, at: str, **more: str) -> dict[str, Any]:
    traits = {"email": f"{customer}@example.invalid", "firstName": "Anna", **more}
    return {"type": "identify", "messageId": f"{customer}-i", "userId": customer, "timestamp": at, "traits": traits}


def track(customer: str, at: str, event: str, **properties: Any) -> dict[str, Any]:
    named = {"type": "track", "event": event, "messageId": f"{customer}-{event}-{at}", "userId": customer}
    return {**named, "timestamp": at, "properties": properties}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """A worker that has decided about Anna, and set one record aside."""
    with running(tmp_path_factory.mktemp("shop"), "--only", "worker", settings=NO_LIMITS) as deployment:
        deployment.import_events(
            identify("anna", ago(2 * HOUR)),
            track("anna", ago(2 * HOUR), "Consent Granted", channel="email", topic="marketing"),
            track("anna", ago(90 * MINUTE), "Product Added", product_id="p1", cart_id="k1", price=120, currency="PLN"),
            track("anna", "1970-01-01T00:00:00Z", "Product Added", product_id="p2"),
        )
        assert until(lambda: len(deployment.decisions()) == 2), deployment.log()
        yield deployment


def test_decisions_are_shown_in_order_with_the_promised_names(shop: Deployment) -> None:
    rows = shop.decisions("--customer", "anna")
    assert [(row["flow"], row["message"], row["outcome"]) for row in rows] == [
        ("welcome", "welcome", "send"),
        ("abandoned_cart", "cart_reminder", "send"),
    ]
    promised = ("decision_id", "message_id", "at", "customer", "flow", "flow_version", "passage", "step", "channel")
    assert all(name in row for row in rows for name in (*promised, "kind", "cause", "consent_id"))
    assert rows[1]["cause"] == {"timer": "cooling_off", "due": rows[1]["at"]}
    assert rows[0]["cause"]["topic"] == "clickstream"


def test_decisions_can_be_asked_for_by_flow_and_time(shop: Deployment) -> None:
    assert [row["message"] for row in shop.decisions("--flow", "welcome")] == ["welcome"]
    assert [row["message"] for row in shop.decisions("--since", ago(HOUR))] == ["cart_reminder"]
    assert shop.impuls("decisions", "--since", "yesterday").code == 2


def test_a_customer_is_shown_with_all_that_is_known_of_her(shop: Deployment) -> None:
    [anna] = shop.impuls("customer", "anna", "--json").lines()
    assert anna["traits"]["email"] == "anna@example.invalid"
    assert anna["consents"]["email/marketing"]["granted"] is True
    assert [cart["cart_id"] for cart in anna["carts"]] == ["k1"]
    assert {(place["flow"], place["wait"]) for place in anna["parked"]} == {
        ("welcome", "looking_around"),
        ("abandoned_cart", "thinking_it_over"),
    }
    counted = {(sent["flow"], sent["channel"], sent["topic"]) for sent in anna["counts_against_caps"]}
    assert counted == {("welcome", "email", "marketing"), ("abandoned_cart", "email", "marketing")}


def test_where_there_is_nothing_to_list_that_is_said(shop: Deployment) -> None:
    ended = shop.impuls("decisions", "--customer", "nobody", "--flow", "welcome")
    assert (ended.code, ended.out, ended.err) == (0, "", "There is no decision about nobody by welcome.\n")


def test_whoever_is_not_known_is_told_so(shop: Deployment) -> None:
    ended = shop.impuls("customer", "nobody")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == "There is no such customer.\n"


def test_looking_at_somebody_is_written_down_without_her_name(shop: Deployment) -> None:
    shop.impuls("customer", "anna")
    [*_, last] = (shop.folder / "data" / "audit.jsonl").read_text().splitlines()
    line = json.loads(last)
    assert line["command"] == "customer"
    assert len(line["customer"]) == 32
    assert "anna" not in last


def test_status_tells_who_rests_where_and_how_far_the_sources_are(shop: Deployment) -> None:
    assert until(lambda: shop.status()["parked"] != {})
    status = shop.status()
    assert status["parked"] == {"abandoned_cart/thinking_it_over": 1, "welcome/looking_around": 1}
    assert status["shards"] == 8
    assert status["lag_total"] == 0
    assert status["processes"]["worker-0"]["ready"] is True


def test_what_was_set_aside_is_listed_and_shown_whole(shop: Deployment) -> None:
    [letter] = shop.impuls("dead-letters", "list", "--json").lines()
    assert (letter["reason"], letter["topic"]) == ("timestamp_too_old", "clickstream")
    shown = json.loads(shop.impuls("dead-letters", "show", letter["id"]).out)
    assert "1970-01-01" in shown["text"]
    ended = shop.impuls("dead-letters", "show", "no-such-id")
    assert ended.code == 2
    assert "dead-letters list" in ended.err


def test_a_flow_is_stopped_and_started_while_the_worker_runs(shop: Deployment) -> None:
    ended = shop.impuls("flows", "abandoned_cart", "--stop")
    assert ended.out == "abandoned_cart is stopped. Those inside go on, and get nothing from it.\n"
    assert until(lambda: shop.status()["stopped_flows"] == ["abandoned_cart"])
    shop.import_events(
        identify("berta", ago(2 * HOUR)),
        track("berta", ago(90 * MINUTE), "Product Added", product_id="p1", cart_id="k2", price=5, currency="PLN"),
    )
    assert until(lambda: shop.decisions("--customer", "berta") != [])
    assert [row["reason"] for row in shop.decisions("--customer", "berta")] == ["flow_stopped"]
    assert shop.impuls("flows", "abandoned_cart", "--start").out == "abandoned_cart is started.\n"
    assert until(lambda: shop.status()["stopped_flows"] == [])


@pytest.mark.parametrize("command", [["check"], ["status"], ["decisions"], ["customer", "anna"], ["run"]])
def test_another_number_of_shards_than_the_folder_was_made_with_is_refused(
    shop: Deployment, command: list[str]
) -> None:
    ended = impuls(*command, "--config", shop.config, IMPULS_SHARDS="2")
    assert (ended.code, ended.out) == (2, "")
    assert "the folder was made with 8 shards, the configuration says 2" in ended.err


def test_a_second_deployment_on_the_same_folder_refuses(shop: Deployment) -> None:
    ended = shop.impuls("run", "--only", "worker")
    assert ended.code == 1
    assert "another `impuls run` works on this folder" in ended.err


def test_flows_are_listed_and_drawn() -> None:
    assert "abandoned_cart (" in impuls("flows").out
    assert impuls("flows", "welcome", "--mermaid").out.startswith("flowchart TD\n")
    ended = impuls("flows", "no_such_flow")
    assert ended.code == 2
    there = ", ".join(sorted(flow.name for flow in FLOWS))
    assert ended.err == f'There is no flow "no_such_flow". There are {there}.\n'


def test_check_lists_every_fault_of_a_configuration_at_once(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_text(
        'shards = 0\ncurrency = "zloty"\n[smtp]\nport = "lots"\n[guards]\nquiet_hours = "late"\n[nonsense]\nx = 1\n'
    )
    ended = impuls("check", "--config", path)
    assert ended.code == 2
    lines = ended.err.splitlines()
    assert len(lines) == 6
    assert lines[-1] == "5 faults."
    assert all(str(path) in line for line in lines[:-1])


def test_check_looks_at_the_flows_whatever_is_wrong_with_the_settings(tmp_path: Path) -> None:
    (tmp_path / "broken_flows.py").write_text(
        "from datetime import timedelta\n"
        "from operators.flow import Flow, Template, on, send\n"
        "from state.events import CartViewed\n"
        "def nothing(event, customer): return {}\n"
        "def flow(name, hours):\n"
        "    words = Template('words', nothing, within=timedelta(hours=hours))\n"
        "    return Flow(name, enter=on(CartViewed), steps=[send(words)])\n"
        "FLOWS = [flow('one', 1), flow('two', 2), flow('three', 3)]\n"
    )
    ended = impuls("check", path=tmp_path, IMPULS_FLOWS="broken_flows", IMPULS_CURRENCY="pln")
    assert ended.code == 2
    first = [line.split()[0] for line in ended.err.splitlines()]
    assert first == ["IMPULS_CURRENCY", "two:", "three:", "3"]


def test_a_data_folder_that_is_a_file_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    for command in ("check", "run"):
        ended = impuls(command, IMPULS_DATA_DIR=str(tmp_path / "data"))
        assert ended.code == 2
        assert "is a file. Name a folder" in ended.err


def test_caps_on_what_no_flow_has_are_faults_since_they_would_protect_nobody(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_text(
        '[guards.caps]\nflow.win_bak = "1 per day"\nflow.win_back = "1 per day"\ntopic.news = "1 per day"\n'
    )
    ended = impuls("check", "--config", path)
    assert ended.code == 2
    assert ended.err.splitlines() == [
        'guards.caps.flow.win_bak: there is no flow "win_bak" that a message could be of. Did you mean "win_back"?',
        'guards.caps.topic.news: there is no topic "news" that a message could be of. There are marketing.',
        "2 faults.",
    ]


def test_what_is_wrong_with_the_flows_is_a_fault_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "broken_flows.py").write_text("FLOWS = [1 / 0]\n")
    ended = impuls("check", path=tmp_path, IMPULS_FLOWS="broken_flows")
    assert ended.code == 2
    assert "ZeroDivisionError" in ended.err
    ended = impuls("check", path=tmp_path, IMPULS_FLOWS="no_such_flows")
    assert (ended.code, "no_such_flows" in ended.err) == (2, True)


def test_the_effective_configuration_is_shown_without_secrets() -> None:
    ended = impuls("check", "--print", IMPULS_SMTP__USERNAME="shop", IMPULS_SMTP__PASSWORD="tell-nobody")
    assert ended.code == 0
    assert "tell-nobody" not in ended.out + ended.err


def test_looking_where_nothing_ran_makes_nothing(tmp_path: Path) -> None:
    for command in (("customer", "anna"), ("explain", "anna"), ("decisions",), ("status",)):
        ended = impuls(*command, IMPULS_DATA_DIR=str(tmp_path / "none"), IMPULS_SECRET_FILE=str(tmp_path / "s"))
        assert ended.code == 1
        assert "no worker has run here yet" in ended.err
    assert list(tmp_path.iterdir()) == []


def test_an_import_that_cannot_be_read_says_where_and_why(tmp_path: Path) -> None:
    ended = impuls("import", "retailrocket", tmp_path / "gone.csv", "--to", tmp_path / "out.jsonl")
    assert ended.code == 2
    assert "gone.csv" in ended.err
    assert "Traceback" not in ended.err
    bad = tmp_path / "bad.csv"
    bad.write_text("ts,user,item,event\n1430622004,257597,355908,look\n")
    ended = impuls("import", "retailrocket", bad, "--to", tmp_path / "out.jsonl")
    assert ended.code == 2
    assert "bad.csv" in ended.err
    assert not (tmp_path / "out.jsonl").exists()
    assert "retailrocket" in impuls("import", "--list").out
