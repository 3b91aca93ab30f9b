"""What sliding, tumbling and session windows have in common: which events belong, and which come too late.

What is stored of a customer is `[form, newest, parts]` under the window's name: a number for the meaning of what is
kept, the time of the newest event taken, and the parts, which each kind of window cuts in its own way.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from zlib import crc32

from operators.effects import told
from operators.faults import FlowError
from operators.keep import Keep
from operators.steps import milliseconds, named
from state.customer import Customer
from state.events import Event

log = logging.getLogger("impuls.windows")

PARTS_MAX = 400
LOG_EVERY = 1_000
_failures: Counter[str] = Counter()


@dataclass(frozen=True)
class Window:
    """A question about a customer's events that is kept answered."""

    name: str
    on: type[Event]
    where: Callable[[Any], bool] | None
    keep: Keep[Any, Any]
    grace: timedelta
    _form: int = field(init=False, repr=False, default=0)
    _grace: int = field(init=False, repr=False, default=0)

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > 64 or not self.name.isprintable():
            raise FlowError(f'window "{self.name[:64]!r}": its name must be 1 to 64 printable characters.')
        if self.where is not None:
            named(self.where, f'window "{self.name}", where=…')
        self.check(self.grace >= timedelta(0), f"grace must not be negative, got {self.grace}")
        self.settle(_grace=milliseconds(self.grace), _form=self._meaning())

    def fold(self, customer: Customer, event: Event) -> None:
        """Take in an event of the kind `on`."""
        if self.where is not None and not self.where(event):
            return
        value = self.keep.select(event)
        if value is None:
            return
        at = event.at
        state = customer.windows.get(self.name)
        if state is None or state[0] != self._form:
            state = [self._form, at, self.empty()]
            self.take(state[2], value, at, at)
            customer.windows[self.name] = state
            return
        newest = state[1]
        if at > newest:
            newest = at
        elif at < newest - self._grace:
            return
        self.take(state[2], value, at, newest)
        state[1] = newest

    def join(self, customer: Customer, other: Any) -> None:
        """Take in what this window kept of her under another id."""
        if other is None or other[0] != self._form:
            return
        state = customer.windows.get(self.name)
        if state is None or state[0] != self._form:
            customer.windows[self.name] = other
            return
        newest = max(state[1], other[1])
        customer.windows[self.name] = [self._form, newest, self.joined(state[2], other[2], newest)]

    def parts(self, customer: Customer) -> Any:
        state = customer.windows.get(self.name)
        return state[2] if state is not None and state[0] == self._form else self.empty()

    def empty(self) -> Any:
        raise NotImplementedError

    def take(self, parts: Any, value: Any, at: int, newest: int) -> None:
        """Put a value where it belongs, and drop what no reading can need any more."""
        raise NotImplementedError

    def joined(self, parts: Any, others: Any, newest: int) -> Any:
        """The parts of two as if one had taken all of it; may use both up."""
        raise NotImplementedError

    def plain(self, customer: Customer, now: int) -> Any:
        """What it says at this moment (ms), as JSON can say it."""
        raise NotImplementedError

    def cut(self) -> tuple[object, ...]:
        """What the parts mean depends on this."""
        raise NotImplementedError

    def check(self, holds: bool, fact: str) -> None:
        if not holds:
            raise FlowError(f'window "{self.name}": {fact}.')

    def settle(self, **fields: int) -> None:
        """Set what follows from the declaration, once, while it is being made."""
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def _meaning(self) -> int:
        where = "" if self.where is None else self.where.__name__
        parts = (type(self).__name__, *self.cut(), self.on.__name__, where, self.keep.kind, self.keep.select.__name__)
        return crc32(repr(parts).encode())


def report(window: Window, error: Exception) -> None:
    """Log that a selector raised: at the first time, and then seldom.  Without the values it stumbled over."""
    if _failures[window.name] % LOG_EVERY == 0:
        log.error("window selector failed", extra={"window": window.name, "error": told(error)})
    _failures[window.name] += 1
