"""The REST door to recommendations, over real HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from connectors.openapi import EXCLUDED_MAX
from connectors.recommendations import routes
from state.recommendations import Block, Recommendation, Recommended


class Shop:
    """Recommends its products in their order."""

    def __init__(self) -> None:
        self.products = ["shoes", "laces", "hat"]
        self.score, self.asked = 0.5, 0

    def recommend(self, customer: str, block: Block, limit: int, exclude: frozenset[str]) -> Recommendation:
        return self._answer(customer, block, [item for item in self.products if item not in exclude][:limit])

    def similar(self, item: str, limit: int) -> Recommendation:
        return self._answer("", "similar", [each for each in self.products if each != item][:limit])

    def _answer(self, customer: str, block: Block, items: list[str]) -> Recommendation:
        self.asked += 1
        chosen = tuple(Recommended(item=item, score=self.score, reason="seen_together") for item in items)
        return Recommendation(
            recommendation_id=f"r{self.asked}",
            at="2026-11-23T10:00:00.000Z",
            customer=customer,
            block=block,
            strategy="co_visitation",
            fallback=False,
            items=chosen,
        )


@contextmanager
def door(shop: Shop, read_key: str = "", *, local: bool = True) -> Iterator[httpx.Client]:
    with served(lambda e: Starlette(routes=routes(shop, e, read_key=read_key, local=local))) as client:
        yield client


@contextmanager
def served(made: Callable[[Executor], Starlette]) -> Iterator[httpx.Client]:
    listening = socket.create_server(("127.0.0.1", 0))
    with ThreadPoolExecutor(1) as executor:
        server = uvicorn.Server(uvicorn.Config(made(executor), log_config=None))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{listening.getsockname()[1]}") as client:
            yield client
        server.should_exit = True
        thread.join(10)


def test_a_customer_gets_products_with_the_reason_and_an_id_to_refer_to() -> None:
    with door(Shop()) as client:
        answer = client.get("/v1/recommendations/c42", params={"block": "discover", "limit": 2})
        told = answer.json()
        assert answer.status_code == 200
        assert (told["recommendation_id"], told["customer"], told["block"]) == ("r1", "c42", "discover")
        assert [(each["item"], each["reason"]) for each in told["items"]] == [
            ("shoes", "seen_together"),
            ("laces", "seen_together"),
        ]


def test_what_the_caller_shows_already_is_left_out() -> None:
    with door(Shop()) as client:
        once = client.get("/v1/recommendations/c42", params={"exclude": "shoes,hat"}).json()
        twice = client.get("/v1/recommendations/c42", params={"exclude": ["shoes", "hat"]}).json()
        assert [each["item"] for each in once["items"]] == ["laces"] == [each["item"] for each in twice["items"]]


def test_a_product_with_a_comma_in_its_id_is_left_out_too() -> None:
    shop = Shop()
    shop.products = ["hat, red", "shoes"]
    with door(shop) as client:
        told = client.get("/v1/recommendations/c42", params={"exclude": "hat, red"}).json()
    assert [each["item"] for each in told["items"]] == ["shoes"]


def test_an_answer_may_be_kept_until_the_products_change_whatever_their_scores() -> None:
    shop = Shop()
    with door(shop) as client:
        first = client.get("/v1/recommendations/c42")
        tag = {"If-None-Match": first.headers["etag"]}
        assert "no-cache" in first.headers["cache-control"]
        shop.score = 0.7
        again = client.get("/v1/recommendations/c42", headers=tag)
        assert (again.status_code, again.content) == (304, b"")
        shop.products.reverse()
        assert client.get("/v1/recommendations/c42", headers=tag).status_code == 200


def test_products_like_one_product_also_where_ids_have_slashes() -> None:
    with door(Shop()) as client:
        told = client.get("/v1/items/shoes/similar").json()
        assert [each["item"] for each in told["items"]] == ["laces", "hat"]
        assert "customer" not in told
        assert client.get("/v1/items/a/b/similar").status_code == 200
        assert client.get("/v1/recommendations/a/b").json()["customer"] == "a/b"


@pytest.mark.parametrize(
    ("asked", "fact"),
    [
        ({"block": "magic"}, "block is none of"),
        ({"limit": "0"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "9" * 5000}, "limit"),
        ({"limit": "000001999999"}, "limit"),
        ({"limit": "000001" + "9" * 5000}, "limit"),
        ({"exclude": ",".join(f"p{n}" for n in range(EXCLUDED_MAX + 1))}, "exclude"),
        ({"exclude": "shoes," + "x" * 300}, "exclude"),
        ({"exclude": "a\0b"}, "exclude"),
    ],
)
def test_a_wrong_question_is_told_what_is_wrong(asked: dict[str, str], fact: str) -> None:
    with door(Shop()) as client:
        answer = client.get("/v1/recommendations/c42", params=asked)
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert fact in answer.json()["detail"]
        assert client.get(f"/v1/recommendations/{'x' * 300}").status_code == 400


@pytest.mark.parametrize("cut", ["a%00b", "a%0A", "a%0Ab", "%0Aa", "a%7F", "a%C2%85", "x" * 257])
def test_an_id_that_no_event_could_have_is_nobodys(cut: str) -> None:
    shop = Shop()
    with door(shop) as client:
        for path in (f"/v1/recommendations/{cut}", f"/v1/items/{cut}/similar"):
            answer = client.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
            assert "is no id" in answer.json()["detail"]
    assert shop.asked == 0


def test_what_is_kept_may_be_named_in_several_lines() -> None:
    with door(Shop()) as client:
        path = "/v1/recommendations/c42"
        tags = ['"another"', client.get(path).headers["etag"]]
        assert client.get(path, headers=[("If-None-Match", tag) for tag in tags]).status_code == 304


def test_with_a_key_only_those_who_have_it_are_told() -> None:
    with door(Shop(), read_key="s3cret") as client:
        path = "/v1/recommendations/c42"
        for wrong in ("", "Bearer no", "Basic ###", "Basic é", "Bearer é", "Basic gA==", "Magic"):
            refused = client.get(path, headers=[(b"Authorization", wrong.encode("latin-1"))] if wrong else [])
            assert refused.status_code == 401
            assert "shoes" not in refused.text
        assert client.get("/v1/items/shoes/similar").status_code == 401
        assert client.get(path, headers={"Authorization": "Bearer s3cret"}).status_code == 200
        assert client.get(path, auth=("s3cret", "")).status_code == 200


def test_a_door_to_the_world_tells_nobody_anything_without_a_key() -> None:
    with door(Shop(), local=False) as client:
        refused = client.get("/v1/recommendations/c42")
        assert refused.status_code == 403
        assert "http.read_key" in refused.json()["detail"]
    with door(Shop(), read_key="s3cret", local=False) as client:
        assert client.get("/v1/recommendations/c42", auth=("s3cret", "")).status_code == 200
