"""The page around a report."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib.resources import files

STYLE = files("operators.pages").joinpath("page.css").read_text(encoding="utf-8")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def document(title: str, body: Iterable[str]) -> str:
    """A whole page of these parts, which are HTML; empty ones are left out."""
    head = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body>"
    )
    return "\n".join([head, *filter(None, body), "</body></html>\n"])
