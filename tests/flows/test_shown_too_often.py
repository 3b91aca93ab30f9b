"""What she was shown too often makes room for something else, through whichever door she is shown it."""

from __future__ import annotations

import json
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from connectors.log import LogWriter
from tests.connectors.mail_servers import Mailbox, mail_server
from tests.flows.commands import ROOT, Ended, asked
from tests.flows.deployments import Deployment, running, until
from tests.flows.test_cli import MINUTE, ago, identify, track
from tests.flows.test_recommending import items, view

FLOWS = """
from collections.abc import Mapping
from typing import Any

from operators.flow import Flow, Template, on, recommend, send
from state.customer import Customer
from state.events import OrderCompleted


def nothing(_: OrderCompleted, __: Customer) -> Mapping[str, Any]:
    return {}


more = Template("more", nothing, kind="transactional", recommends=recommend("discover", 1))
plain = Template("plain", nothing, kind="transactional")
FLOWS = [Flow("thanks", enter=on(OrderCompleted), steps=[send(more, otherwise=[plain])])]
"""
WORDS = {"more": "{% for each in recommended %}{{ each.name }}{% endfor %}", "plain": "Thank you"}
CROWD = [f"v{number}" for number in range(20)]
LEADS_ON = [  # from shoes to laces, and now and then to polish
    *(view(who, "shoes", 9) for who in CROWD),
    *(view(who, "laces", 8) for who in CROWD),
    *(view(who, "polish", 7) for who in CROWD[:10]),
]


_numbers = count()


def write_flows(folder: Path) -> None:
    (folder / "shop_flows.py").write_text(FLOWS)
    for template, words in WORDS.items():
        there = folder / "templates" / template
        there.mkdir(parents=True)
        (there / "subject.txt").write_text("Thanks")
        (there / "body.txt").write_text(words)


def order(number: int) -> dict[str, Any]:
    bought = [{"product_id": "socks"}]
    return track("anna", ago(0), "Order Completed", order_id=f"o{number}", products=bought)


def command(deployment: Deployment, *arguments: str | Path) -> Ended:
    """One that can import the shop's flows."""
    return asked(*arguments, "--config", deployment.config, path=deployment.folder)


def shown(deployment: Deployment, **times: int) -> bool:
    """Whether these come to be known to have been recommended to her in messages."""

    def are_known() -> bool:
        ended = command(deployment, "customer", "anna", "--json")
        if ended.code:
            return False
        known = ended.lines()[0]["recommended"]
        return {product: each["times"] for product, each in known.items()} == times

    return until(are_known)


@pytest.mark.timeout(400)  # of a machine that has other work
def test_the_same_is_not_shown_in_mail_after_mail_nor_then_on_the_page(tmp_path: Path) -> None:
    write_flows(tmp_path)
    mailbox = Mailbox()
    with mail_server(mailbox) as port:
        settings = f'shards = 4\nflows = "shop_flows"\n[smtp]\nport = {port}\n'
        with running(tmp_path, settings=settings, PYTHONPATH=f"{ROOT}:{tmp_path}") as deployment:
            deployment.import_events(*LEADS_ON, identify("anna", ago(6 * MINUTE)), view("anna", "shoes", 5))
            anna = "/v1/recommendations/anna?limit=1"
            assert until(lambda: items(deployment, anna) == ["laces"]), deployment.log()
            deployment.import_events(order(0))
            assert shown(deployment, laces=1), deployment.log()
            deployment.import_events(order(1))
            assert shown(deployment, laces=2), deployment.log()
            deployment.import_events(order(2))
            assert shown(deployment, laces=3), deployment.log()
            deployment.import_events(order(3))
            assert shown(deployment, laces=3, polish=1), deployment.log()
            assert until(lambda: items(deployment, anna) == ["polish"]), deployment.log()
            assert items(deployment, "/v1/recommendations/anna?limit=3") == ["polish", "laces"], "rather than nothing"

            done = command(deployment, "precompute", "--out", tmp_path / "out", "--limit", "1")
            assert done.code == 0, done.err
            lines = [line for path in (tmp_path / "out").glob("*.jsonl") for line in path.read_text().splitlines()]
            told = {line["customer"]: [each["item"] for each in line["items"]] for line in map(json.loads, lines)}
            assert (told["anna"], told["v19"]) == (["polish"], ["polish"])

            deployment.import_events(order(4))
            assert shown(deployment, laces=3, polish=2), deployment.log()
            deployment.import_events(order(5))
            assert shown(deployment, laces=3, polish=3), deployment.log()
            deployment.import_events(order(6))
            assert until(lambda: len(mailbox.taken) == 7), deployment.log()
            assert [row["outcome"] for row in deployment.decisions("--customer", "anna")].count("replace") == 1
            deployment.import_events(view("anna", "laces", 0))
            assert shown(deployment, polish=3), deployment.log()
            assert deployment.stop() == 0, deployment.log()
    said = [next(word for word in (b"Laces", b"Polish", b"Thank you") if word in mail) for _, mail in mailbox.taken]
    assert said == [*[b"Laces"] * 3, *[b"Polish"] * 3, b"Thank you"]


@pytest.mark.timeout(400)
def test_the_same_is_not_shown_on_the_page_all_day(tmp_path: Path) -> None:
    berta, cyryl = (f"/v1/recommendations/{who}?limit=1" for who in ("berta", "cyryl"))
    with running(tmp_path, settings="shards = 4") as deployment:
        deployment.import_events(*LEADS_ON, view("berta", "shoes", 5), view("cyryl", "shoes", 5))
        assert until(lambda: items(deployment, cyryl) == ["laces"]), deployment.log()
        with closing(LogWriter(deployment.folder / "data" / "log")) as another:
            for hours_ago in (3, 2):
                assert another.send("recommendations", b"berta", json.dumps(shows_laces(hours_ago)).encode())
            assert another.flush(10)
        for _ in range(5):
            assert items(deployment, anew(cyryl)) == ["laces"], "however often she turns the page"
        assert until(lambda: items(deployment, anew(berta)) == ["polish"]), deployment.log()
        assert items(deployment, "/v1/recommendations/berta?limit=3") == ["polish", "laces"]
        assert deployment.stop() == 0, deployment.log()


def anew(path: str) -> str:
    """Asked so that no answer that was kept will do."""
    return f"{path}&exclude=x{next(_numbers)}"


def shows_laces(hours_ago: int) -> dict[str, Any]:
    """An answer of another process, as it is logged."""
    return {
        "recommendation_id": f"r{hours_ago}",
        "at": ago(hours_ago * 60 * MINUTE),
        "customer": "berta",
        "block": "discover",
        "strategy": "co_visitation",
        "fallback": False,
        "items": [{"item": "laces", "score": 1.0, "reason": "seen_together"}],
    }
