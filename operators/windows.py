"""Windows over a customer's events (being written)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from state.customer import Customer
from state.events import Event


class Window(Protocol):
    name: str


def fold(windows: Iterable[Any], customer: Customer, event: Event) -> None:
    for window in windows:
        window.fold(customer, event)
