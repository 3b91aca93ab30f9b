"""Errors over HTTP as RFC 9457 has them: `application/problem+json`, for programs and for people."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

PROBLEM = "application/problem+json"
_WAYS_OUT = {
    404: "There is nothing at this path. What there is stands in /openapi.json.",
    405: "This path is not asked in this way. What it takes stands in /openapi.json.",
    500: "This failed on our side, and the log says why. Please try again.",
}


def problem(status: int, detail: str, *, headers: dict[str, str] | None = None) -> Response:
    """`detail` names the fact and the way out, and never what a customer sent of herself."""
    told = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return Response(msgspec.json.encode(told), status, headers, PROBLEM)


async def of_exception(_: Request, error: Exception) -> Response:
    """For requests that no handler answers."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return problem(status, _WAYS_OUT.get(status, HTTPStatus(status).description), headers=headers)
