"""What a peer is told, and how it tells how far it has come.  Needs no package: it runs in every environment."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Self

MARK_EVERY = 500


class Course:
    """From start to end of one peer's run: read `events` events from `topic`, write reminders to `reminders`.

    Every so many events it notes the time in a file, beside which the harness puts the CPU time it saw from outside.
    """

    def __init__(
        self, servers: str, topic: str, reminders: str, group: str, folder: str, events: int, variant: str = ""
    ) -> None:
        self.servers, self.topic, self.reminders, self.group = servers, topic, reminders, group
        self.folder, self.events, self.variant = Path(folder), events, variant
        self.read = 0
        self._next = MARK_EVERY
        self._marks = (self.folder / "marks").open("w", buffering=1)

    @classmethod
    def told(cls) -> Self:
        """By the first argument of the command."""
        return cls(**json.loads(sys.argv[1]))

    def passed(self, events: int = 1) -> bool:
        """Note that so many more events are done; whether these were the last."""
        self.read += events
        if self.read >= self._next:
            self._next = self.read + MARK_EVERY
            self._mark()
        return self.read >= self.events

    def done(self) -> None:
        """Everything is processed and written."""
        self._mark()
        self._marks.close()

    def _mark(self) -> None:
        self._marks.write(f"{time.time()} {self.read}\n")
