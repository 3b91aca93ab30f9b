"""What /openapi.json promises is what is served, over real HTTP; and errors are problem details."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from connectors import openapi
from connectors.log import LogWriter, create_topics
from connectors.recommendations import routes
from connectors.tokens import Tokens
from connectors.unsubscribe import app
from state.records import TopicSpec
from tests.connectors.test_recommendations import Shop, served

PROBLEM = "application/problem+json"
ASKED = {"/v1/recommendations/{customer}": "/v1/recommendations/c42", "/v1/items/{id}/similar": "/v1/items/hat/similar"}


class Broken(Shop):
    def similar(self, item: str, limit: int) -> Any:
        raise RuntimeError("made to fail")


def doors(folder: Path, shop: Shop) -> Any:
    create_topics(folder, [TopicSpec("engagement", 1, 7)])
    tokens, writer = Tokens(b"a secret of the tests, long enough for one"), LogWriter(folder)
    return lambda executor: app(tokens, writer, topic="engagement", more=routes(shop, executor))


def test_it_describes_every_route_that_is_served_and_its_answers(tmp_path: Path) -> None:
    with served(doors(tmp_path, Shop())) as client:
        told = client.get("/openapi.json")
        described = told.json()
        assert (told.status_code, told.headers["content-type"]) == (200, "application/json")
        assert described["openapi"].startswith("3.1.")
        assert set(described["paths"]) == {"/healthz", "/openapi.json", "/u/{token}", *ASKED}
        assert set(described["paths"]["/u/{token}"]) == {"get", "post"}
        schema = described["components"]["schemas"]["Recommendation"]
        for path, asked in ASKED.items():
            answers = described["paths"][path]["get"]["responses"]
            answer = client.get(asked)
            assert answer.headers["content-type"] in answers["200"]["content"]
            assert set(answers["200"]["headers"]) <= {name.title().replace("Etag", "ETag") for name in answer.headers}
            assert set(schema["required"]) <= set(answer.json()) <= set(schema["properties"])
            assert client.get(asked, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304
            assert client.get(asked, headers={"If-None-Match": "*"}).status_code == 304
            refused = client.get(asked, params={"limit": 0})
            assert refused.headers["content-type"] in answers[str(refused.status_code)]["content"]
            [limit] = [each for each in described["paths"][path]["get"]["parameters"] if each["name"] == "limit"]
            most = limit["schema"]["maximum"]
            assert [client.get(asked, params={"limit": n}).status_code for n in (1, most, most + 1)] == [200, 200, 400]


def test_all_it_points_to_is_there() -> None:
    def refs(value: Any) -> set[str]:
        if isinstance(value, dict):
            return {value["$ref"]} if "$ref" in value else set[str]().union(*map(refs, value.values()))
        return set[str]().union(*map(refs, value)) if isinstance(value, list | tuple) else set()

    with served(lambda executor: Starlette(routes=[openapi.route(routes(Shop(), executor))])) as client:
        described = client.get("/openapi.json").json()
    assert refs(described) == {f"#/components/schemas/{name}" for name in described["components"]["schemas"]}


def test_a_route_that_nobody_described_is_not_served() -> None:
    with pytest.raises(KeyError, match="GET /v1/secret"):
        openapi.document([Route("/v1/secret", lambda _: None, methods=["GET"])])


def test_what_no_handler_answers_is_a_problem_too(tmp_path: Path) -> None:
    with served(doors(tmp_path, Broken())) as client:
        answers: list[httpx.Response] = [
            client.get("/v1/nothing"),
            client.delete("/v1/recommendations/c42"),
            client.get("/v1/items/hat/similar"),
        ]
        assert [each.status_code for each in answers] == [404, 405, 500]
        for each in answers:
            assert each.headers["content-type"] == PROBLEM
            assert each.json()["status"] == each.status_code
            assert each.json()["detail"]
        assert set(answers[1].headers["allow"].split(", ")) == {"GET", "HEAD"}
