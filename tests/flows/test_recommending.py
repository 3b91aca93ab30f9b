"""From a click to what a page shows: learnt by one process, remembered by another, told by a third."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from connectors.log import LogReader, LogWriter
from state.records import TopicPartition
from tests.flows.deployments import Deployment, running, until
from tests.flows.test_cli import MINUTE, ago, track


def view(who: str, product: str, minutes_ago: float) -> dict[str, Any]:
    said = {"product_id": product, "name": product.title(), "price": 99, "currency": "PLN"}
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
        assert answer in logged(deployment)

        off = {"product_id": "stove", "availability": False}
        changed = {"type": "track", "event": "Product Changed", "timestamp": ago(0), "properties": off}
        with closing(LogWriter(deployment.folder / "data" / "log")) as catalogue:
            assert catalogue.send("catalogue", None, json.dumps(changed).encode())
        assert until(lambda: "stove" not in items(deployment, "/v1/items/tent/similar")), deployment.log()
        assert deployment.stop() == 0, deployment.log()
