"""The REST door to recommendations: whoever asks gets an answer, and may keep it for as long as it would be the same.

What is recommended is another's to say (`Recommender`).  An answer's ETag is that of its content, so a shop's page or
cache asks again at little cost until that customer does something new.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
from collections.abc import Callable
from concurrent.futures import Executor
from hashlib import blake2b
from time import perf_counter
from typing import Protocol

import msgspec
from prometheus_client import Histogram
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.openapi import EXCLUDED_MAX, LIMIT_DEFAULT, LIMIT_MAX
from connectors.problems import problem
from state.fields import ID_CHARS_MAX, identifier
from state.recommendations import BLOCKS, Block, Recommendation

RECOMMEND_SECONDS = Histogram(
    "impuls_recommend_seconds",
    "From a request to its recommendations",
    ["block"],
    buckets=(0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 1),
)
_AN_ID = f"that has 1 to {ID_CHARS_MAX} characters, none of them a control character"
_encode = msgspec.json.Encoder().encode


class Recommender(Protocol):
    """Who knows what to recommend.  Called on a thread of its own; never raises for want of knowledge."""

    def recommend(self, customer: str, block: Block, limit: int, exclude: frozenset[str]) -> Recommendation: ...

    def similar(self, item: str, limit: int) -> Recommendation: ...


class _Bad(ValueError):
    """What is wrong with a request."""


class _WholeConvertor(PathConvertor):
    """All that stands in a path, line breaks too: `path` leaves the last one out, which would make it another id."""

    regex = "(?s:.*)"


def routes(recommender: Recommender, executor: Executor, *, read_key: str = "", local: bool = True) -> list[Route]:
    """`GET /v1/recommendations/{customer}` and `GET /v1/items/{id}/similar`.

    `executor` has one thread, since a store is read by one.  With a `read_key` a request must carry it, as the user
    of Basic or as a Bearer token; without one nobody is told anything unless the door is a `local` one.
    """
    register_url_convertor("whole", _WholeConvertor())

    def refused(request: Request) -> Response | None:
        if not read_key and not local:
            return problem(
                403, "What customers looked at is not told to everybody: set http.read_key, and show it here."
            )
        return _refused(request, read_key)

    async def answer(request: Request, block: str, ask: Callable[[], Recommendation]) -> Response:
        began = perf_counter()
        found = await asyncio.get_running_loop().run_in_executor(executor, ask)
        RECOMMEND_SECONDS.labels(block).observe(perf_counter() - began)
        tag = _etag(found)
        headers = {
            "ETag": tag,
            "Cache-Control": "private, no-cache" if found.customer else "public, max-age=60",
            "Vary": "Authorization",
            "X-Content-Type-Options": "nosniff",
        }
        if {tag, "*"} & _tags(request):
            return Response(status_code=304, headers=headers)
        return Response(_encode(found), 200, headers, "application/json")

    async def recommendations(request: Request) -> Response:
        if (refusal := refused(request)) is not None:
            return refusal
        try:
            customer, block = _id(request, "customer"), _block(request)
            limit, exclude = _limit(request), _excluded(request)
        except _Bad as bad:
            return problem(400, str(bad))
        return await answer(request, block, lambda: recommender.recommend(customer, block, limit, exclude))

    async def similar(request: Request) -> Response:
        if (refusal := refused(request)) is not None:
            return refusal
        try:
            item, limit = _id(request, "id"), _limit(request)
        except _Bad as bad:
            return problem(400, str(bad))
        return await answer(request, "similar", lambda: recommender.similar(item, limit))

    return [
        Route("/v1/recommendations/{customer:whole}", recommendations, methods=["GET"]),
        Route("/v1/items/{id:whole}/similar", similar, methods=["GET"]),
    ]


def _tags(request: Request) -> set[str]:
    lines = request.headers.getlist("if-none-match")
    return {each.strip().removeprefix("W/") for line in lines for each in line.split(",")}


def _refused(request: Request, read_key: str) -> Response | None:
    if not read_key or hmac.compare_digest(_shown_key(request).encode(), read_key.encode()):
        return None
    detail = "This asks for http.read_key, as the user name of Basic authentication or as a Bearer token."
    return problem(401, detail, headers={"WWW-Authenticate": 'Basic realm="impuls", Bearer'})


def _shown_key(request: Request) -> str:
    scheme, _, told = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return told.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(told, validate=True).decode().partition(":")[0]
        except ValueError:
            return ""
    return ""


def _id(request: Request, name: str) -> str:
    found: str = request.path_params[name]
    if not identifier(found):
        raise _Bad(f"{name} is no id: {_AN_ID}.")
    return found


def _block(request: Request) -> Block:
    asked = request.query_params.get("block", "discover")
    for block in BLOCKS:
        if block == asked:
            return block
    raise _Bad(f"block is none of {', '.join(BLOCKS)}.")


def _limit(request: Request) -> int:
    asked = request.query_params.get("limit", str(LIMIT_DEFAULT))
    if not (asked.isascii() and asked.isdigit() and len(asked) <= len(str(LIMIT_MAX)) and 1 <= int(asked) <= LIMIT_MAX):
        raise _Bad(f"limit is no whole number from 1 to {LIMIT_MAX}.")
    return int(asked)


def _excluded(request: Request) -> frozenset[str]:
    """Given once with commas, or several times; a comma may also be part of an id."""
    given = request.query_params.getlist("exclude")
    asked = [item for each in given for item in each.split(",") if item]
    if len(asked) > EXCLUDED_MAX:
        raise _Bad(f"exclude names {len(asked)} items; at most {EXCLUDED_MAX} are looked at.")
    if not all(map(identifier, asked)):
        raise _Bad(f"exclude names what is no id: {_AN_ID}.")
    return frozenset(asked).union(filter(identifier, given))


def _etag(found: Recommendation) -> str:
    """Of what a page would show of it, so not of scores, which drift."""
    items = [msgspec.structs.replace(each, score=0.0) for each in found.items]
    shown = _encode((found.block, found.strategy, found.arm, items))
    return f'"{blake2b(shown, digest_size=12).hexdigest()}"'
