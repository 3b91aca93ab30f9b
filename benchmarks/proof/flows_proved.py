"""The flows that are proved, all known to the oracle; the module that the proofs' deployments name in `flows`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
from flows.abandoned_cart import abandoned_cart
from flows.welcome import welcome
from operators.flow import Flow

FLOWS: list[Flow[Any]] = [abandoned_cart, welcome]
NAMES = [flow.name for flow in FLOWS]
TEMPLATES = Path(flows.__file__).parent / "templates"
