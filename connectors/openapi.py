"""What the HTTP doors promise, as OpenAPI 3.1: the operations of the routes that are served, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from connectors.problems import PROBLEM
from state.fields import ID_CHARS_MAX
from state.recommendations import BLOCKS, Recommendation

PATH = "/openapi.json"
VERSION = "1"  # of what is promised: it goes up when somebody who relies on it would be wrong
LIMIT_DEFAULT, LIMIT_MAX = 12, 100
EXCLUDED_MAX = 200

_JSON, _HTML, _TEXT = "application/json", "text/html", "text/plain"
Described = Mapping[str, Any]


def route(served: Iterable[BaseRoute]) -> Route:
    """`GET /openapi.json` over these routes and itself."""
    written = msgspec.json.encode(document([*served, Route(PATH, _nobody, methods=["GET"])]))

    async def show(_: Request) -> Response:
        return Response(written, 200, {"X-Content-Type-Options": "nosniff"}, _JSON)

    return Route(PATH, show, methods=["GET"])


def document(served: Iterable[BaseRoute]) -> dict[str, Any]:
    """Raises `KeyError` for a route that nobody described."""
    paths: dict[str, dict[str, Any]] = {}
    for each in served:
        assert isinstance(each, Route)
        for method in sorted((each.methods or set()) - {"HEAD"}):
            operation = _OPERATIONS[f"{method} {each.path_format}"]
            paths.setdefault(each.path_format, {})[method.lower()] = operation
    _, schemas = msgspec.json.schema_components([Recommendation], ref_template="#/components/schemas/{name}")
    return {
        "openapi": "3.1.0",
        "info": {"title": "Impuls", "version": VERSION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": _PROBLEM},
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic", "description": "http.read_key as the user name"},
                "bearer": {"type": "http", "scheme": "bearer", "description": "http.read_key as the token"},
            },
        },
    }


async def _nobody(_: Request) -> Response:
    raise AssertionError("it stands for the route that is made of it")


def _in_path(name: str, description: str) -> Described:
    schema = {"type": "string", "minLength": 1, "maxLength": ID_CHARS_MAX}
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _in_query(name: str, description: str, schema: Described, **more: Any) -> Described:
    return {"name": name, "in": "query", "description": description, "schema": schema, **more}


def _told(description: str, kind: str, schema: Described, **more: Any) -> Described:
    return {"description": description, "content": {kind: {"schema": schema}}, **more}


def _refused(description: str) -> Described:
    return _told(description, PROBLEM, {"$ref": "#/components/schemas/Problem"})


def _operation(id: str, summary: str, responses: Mapping[str, Described], **more: Any) -> Described:
    return {"operationId": id, "summary": summary, "responses": responses, **more}


_PROBLEM: Described = {
    "description": "What went wrong, after RFC 9457.",
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}
_LIMIT = _in_query(
    "limit",
    "How many products at most.",
    {"type": "integer", "minimum": 1, "maximum": LIMIT_MAX, "default": LIMIT_DEFAULT},
)
_IF_NONE_MATCH: Described = {
    "name": "If-None-Match",
    "in": "header",
    "description": "The ETag of an answer that is kept.",
    "schema": {"type": "string"},
}
_HEADERS: Described = {
    "ETag": {"description": "Of what a page would show of the answer.", "schema": {"type": "string"}},
    "Cache-Control": {"schema": {"type": "string"}},
}
_ANSWERS: Mapping[str, Described] = {
    "200": _told("Products, best first.", _JSON, {"$ref": "#/components/schemas/Recommendation"}, headers=_HEADERS),
    "304": {"description": "What is kept still holds.", "headers": _HEADERS},
    "400": _refused("A parameter is wrong; `detail` says which."),
    "401": _refused("http.read_key is asked for."),
    "403": _refused("A door that listens beyond this machine has no http.read_key."),
}
_SECURITY: list[dict[str, list[str]]] = [{}, {"basic": []}, {"bearer": []}]
_TOKEN: Described = {"name": "token", "in": "path", "required": True, "schema": {"type": "string"}}
_PAGE: Described = {"type": "string"}

_OPERATIONS: Mapping[str, Described] = {
    "GET /v1/recommendations/{customer}": _operation(
        "recommend",
        "What to recommend to a customer",
        _ANSWERS,
        parameters=[
            _in_path("customer", "The id the shop uses; one that is not known gets what sells."),
            _in_query("block", "What to show her.", {"type": "string", "enum": list(BLOCKS), "default": "discover"}),
            _LIMIT,
            _in_query(
                "exclude",
                f"Ids of products to leave out, with commas or said several times, {EXCLUDED_MAX} at most.",
                {"type": "array", "items": {"type": "string", "maxLength": ID_CHARS_MAX}},
                style="form",
                explode=False,
            ),
            _IF_NONE_MATCH,
        ],
        security=_SECURITY,
    ),
    "GET /v1/items/{id}/similar": _operation(
        "similar",
        "What others came to after a product, or before it",
        _ANSWERS,
        parameters=[_in_path("id", "The product; one that is not known gets what sells."), _LIMIT, _IF_NONE_MATCH],
        security=_SECURITY,
    ),
    "GET /u/{token}": _operation(
        "unsubscribe_page",
        "The page behind the link in a mail; changes nothing",
        {"200": _told("The question.", _HTML, _PAGE), "404": _told("No valid link.", _HTML, _PAGE)},
        parameters=[_TOKEN],
    ),
    "POST /u/{token}": _operation(
        "unsubscribe",
        "Unsubscribe with one click (RFC 8058)",
        {
            "200": _told("Done, and in the log.", _HTML, _PAGE),
            "400": _refused("Not the one field of RFC 8058."),
            "404": _refused("No valid link."),
            "503": _refused("The log takes nothing at the moment; try again."),
        },
        parameters=[_TOKEN],
        requestBody={
            "required": True,
            "content": {
                kind: {
                    "schema": {
                        "type": "object",
                        "required": ["List-Unsubscribe"],
                        "properties": {"List-Unsubscribe": {"const": "One-Click"}},
                    }
                }
                for kind in ("application/x-www-form-urlencoded", "multipart/form-data")
            },
        },
    ),
    "GET /healthz": _operation("healthy", "Whether it serves", {"200": _told("It does.", _TEXT, _PAGE)}),
    f"GET {PATH}": _operation("openapi", "This", {"200": _told("OpenAPI 3.1.", _JSON, {"type": "object"})}),
}
