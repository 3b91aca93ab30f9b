"""The job whose speed is compared from version to version: two flows, as they ship."""

from __future__ import annotations

from typing import Any

from flows.abandoned_cart import abandoned_cart
from flows.welcome import welcome
from operators.flow import Flow

FLOWS: list[Flow[Any]] = [abandoned_cart, welcome]
