"""From a click to what a page shows: learnt by one process, remembered by another, told by a third."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from connectors.log import LogReader, LogWriter
from state.records import TopicPartition
from tests.connectors.mail_servers import Mailbox, mail_server
from tests.flows.commands import ROOT
from tests.flows.deployments import Deployment, running, until
from tests.flows.test_cli import MINUTE, ago, identify, track


def view(who: str, product: str, minutes_ago: float) -> dict[str, Any]:
    url = f"https://shop.example/{product}"
    said = {"product_id": product, "name": product.title(), "price": 99, "currency": "PLN", "url": url}
    return track(who, ago(int(minutes_ago * MINUTE)), "Product Viewed", **said)


def told(deployment: Deployment, path: str) -> dict[str, Any]:
    answer = httpx.get(f"{deployment.url}{path}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def items(deployment: Deployment, path: str) -> list[str]:
    return [each["item"] for each in told(deployment, path)["items"]]


def logged(deployment: Deployment) -> list[dict[str, Any]]:
    with closing(LogReader(deployment.folder / "data" / "log", "")) as reader:
        places = {TopicPartition("recommendations", number): 0 for number in reader.partitions("recommendations")}
        reader.assign(places)
        return [json.loads(record.value or b"") for fetched in reader.poll(1000) for record in fetched.records]


def test_a_click_changes_what_is_recommended_next(tmp_path: Path) -> None:
    with running(tmp_path) as deployment:
        nobody = told(deployment, "/v1/recommendations/stranger")
        assert (nobody["fallback"], nobody["items"]) == (True, [])
        crowd = [f"v{number}" for number in range(20)]
        deployment.import_events(
            *(view(who, "shoes", 9) for who in crowd),
            *(view(who, "laces", 8) for who in crowd),
            *(view(who, "tent", 7) for who in crowd[:10]),
            *(view(who, "stove", 6) for who in crowd[:10]),
            view("anna", "shoes", 2),
        )
        anna = "/v1/recommendations/anna?block=discover&limit=1"
        assert until(lambda: items(deployment, anna) == ["laces"]), deployment.log()
        answer = told(deployment, anna)
        [laces] = answer["items"]
        assert (laces["because"], laces["name"], laces["price"]) == ("shoes", "Laces", "99.00")
        assert told(deployment, anna)["recommendation_id"] == answer["recommendation_id"]

        deployment.import_events(view("anna", "tent", 0))
        assert until(lambda: items(deployment, anna) == ["stove"]), deployment.log()
        assert items(deployment, "/v1/recommendations/anna?block=abandoned") == ["tent", "shoes"]
        assert "stove" in items(deployment, "/v1/items/tent/similar")
        [entry] = [each for each in logged(deployment) if each["recommendation_id"] == answer["recommendation_id"]]
        [why] = entry.pop("features")
        assert (entry, "features" in answer) == (answer, False)
        assert why["after"] < 0 < why["place"] + 1
        lines = deployment.impuls("report", "--json").lines()
        told_of = {each["block"]: each for each in lines if each["kind"] == "recommended"}
        assert told_of["discover"]["place"] == "answer"
        assert told_of["discover"]["shown"] >= told_of["discover"]["clicked"] >= 0
        assert told_of["abandoned"]["strategy"] == "history"
        assert deployment.impuls("report", "--html", tmp_path / "report.html").code == 0
        page = (tmp_path / "report.html").read_text()
        assert "<h2>Recommendations</h2>" in page
        assert f"<td>discover</td><td>{told_of['discover']['strategy']}</td><td>answer</td>" in page

        off = {"product_id": "stove", "availability": False}
        changed = {"type": "track", "event": "Product Changed", "timestamp": ago(0), "properties": off}
        with closing(LogWriter(deployment.folder / "data" / "log")) as catalogue:
            assert catalogue.send("catalogue", None, json.dumps(changed).encode())
        assert until(lambda: "stove" not in items(deployment, "/v1/items/tent/similar")), deployment.log()
        assert deployment.stop() == 0, deployment.log()


FLOWS = """
from collections.abc import Mapping
from typing import Any

from operators.flow import Flow, Template, on, recommend, send
from state.customer import Customer
from state.events import OrderCompleted, ProductViewed


def nothing(_: OrderCompleted, __: Customer) -> Mapping[str, Any]:
    return {}


more = Template("more", nothing, kind="transactional", recommends=recommend("discover", 2, at_least=1))
plain = Template("plain", nothing, kind="transactional")
FLOWS = [Flow("thanks", enter=on(OrderCompleted), steps=[send(more, otherwise=[plain])])]
"""
WORDS = {
    "more": "Others went on to {% for each in recommended %}{{ each.name }} at {{ each.url }}{% endfor %}",
    "plain": "Thank you",
}


def test_a_mail_shows_what_was_learnt_and_another_goes_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "shop_flows.py").write_text(FLOWS)
    for template, words in WORDS.items():
        folder = tmp_path / "templates" / template
        folder.mkdir(parents=True)
        (folder / "subject.txt").write_text("Thanks")
        (folder / "body.txt").write_text(words)
    mailbox = Mailbox()
    with mail_server(mailbox) as port:
        settings = f'flows = "shop_flows"\n[smtp]\nport = {port}\n'
        with running(tmp_path, settings=settings, PYTHONPATH=f"{ROOT}:{tmp_path}") as deployment:
            early = [identify("berta", ago(9 * MINUTE)), order("berta", 9)]
            deployment.import_events(*early)
            assert until(lambda: len(mailbox.taken) == 1), deployment.log()
            crowd = [f"v{number}" for number in range(20)]
            deployment.import_events(
                *(view(who, "shoes", 8) for who in crowd),
                *(view(who, "laces", 7) for who in crowd),
                identify("anna", ago(6 * MINUTE)),
                view("anna", "shoes", 6),
            )
            assert until(lambda: items(deployment, "/v1/recommendations/anna?limit=1") == ["laces"]), deployment.log()
            deployment.import_events(order("anna", 5))
            assert until(lambda: len(mailbox.taken) == 2), deployment.log()
            assert [row["outcome"] for row in deployment.decisions("--customer", "berta")].count("replace") == 1
            [shown] = [each for each in logged(deployment) if each.get("message_id")]
            assert deployment.stop() == 0, deployment.log()
    first, second = mailbox.taken
    assert b"Thank you" in first[1]
    assert b"Laces at https://shop.example/laces" in second[1]
    assert (shown["customer"], [each["item"] for each in shown["items"]]) == ("anna", ["laces"])


def order(who: str, minutes_ago: float) -> dict[str, Any]:
    bought = [{"product_id": "socks"}]
    return track(who, ago(int(minutes_ago * MINUTE)), "Order Completed", order_id=f"of-{who}", products=bought)
