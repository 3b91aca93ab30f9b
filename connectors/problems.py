"""Errors over HTTP as RFC 9457 has them: `application/problem+json`, for programs and for people."""

from __future__ import annotations

from http import HTTPStatus

import msgspec
from starlette.responses import Response


def problem(status: int, detail: str, *, headers: dict[str, str] | None = None) -> Response:
    """`detail` names the fact and the way out, and never what a customer sent of herself."""
    told = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return Response(msgspec.json.encode(told), status, headers, "application/problem+json")
