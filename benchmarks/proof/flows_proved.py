"""The flows that a proof deploys: of those that ship, all that the oracle knows, with their templates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
from flows.waiting import SPREAD
from operators.flow import Flow, milliseconds
from tests.flows import oracle

FLOWS: list[Flow[Any]] = [flow for flow in flows.FLOWS if flow.name in (*oracle.FLOWS, *oracle.NEWS)]
WINDOWS = flows.WINDOWS
NAMES = [flow.name for flow in FLOWS]
TEMPLATES = Path(flows.__file__).parent / "templates"


def turns(secret: bytes) -> oracle.Turn:
    """When, after news of the catalogue, it is whose turn."""
    return oracle.by_share(secret, "in_turn", milliseconds(SPREAD))
