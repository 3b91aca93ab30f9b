"""What `KafkaWriter` asks of a client: to append, and to say how it went. What outlives one client - the order, what
is not answered yet, trying again - is the writer's.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol


class Outcome(Enum):
    """DONE: in the log. REFUSED: this record never will be. BROKEN: unknown, and the client is of no more use."""

    DONE = "done"
    REFUSED = "refused"
    BROKEN = "broken"


Answer = Callable[[Outcome, str], None]


class Producing(Protocol):
    """One client that appends in order. `send` is called by one thread; answers come on any.

    After it answered BROKEN it appends nothing that was sent to the same partition later.
    """

    def send(self, topic: str, key: bytes | None, value: bytes, answer: Answer) -> None:
        """Raises nothing: `answer` is called with the outcome and, unless it is DONE, the fact in a few words."""

    def close(self) -> None:
        """Within a few seconds. What is not answered by then may be in the log or not."""


Connect = Callable[[], Producing]
