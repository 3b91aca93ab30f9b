"""The shares that choices draw by, as a file that is only ever added to: one entry of a schedule a line.

It lies beside the published models.  Workers look at its length before every batch, so an entry that begins some
seconds after it was written is known to all before anything is decided by it.
"""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from flows.published_models import ModelUnreadable
from operators.bandits.schedule import FORMAT, Entry, Schedule

log = logging.getLogger("impuls.shares")

NAME = "shares.jsonl"

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Entry).decode


class SharesFile:
    """A schedule that follows its file.  Raises `ModelUnreadable` when opened on one that cannot be read."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME
        self.schedule = Schedule()
        self.read = 0  # bytes: the whole lines
        self._fault = ""
        self._take_in()

    def follow(self) -> None:
        """Add what was published since.  What cannot be read is said once, and decisions go by what was before."""
        try:
            if self.path.stat().st_size == self.read or self._fault:
                return
            self._take_in()
        except FileNotFoundError:
            return
        except ModelUnreadable as error:
            self._fault = str(error)
            log.error("shares unreadable", extra={"fact": self._fault})

    def _take_in(self) -> None:
        try:
            with self.path.open("rb") as file:
                file.seek(self.read)
                found = file.read()
        except FileNotFoundError:
            return
        whole = found[: found.rfind(b"\n") + 1]  # the rest is being written
        for line in whole.splitlines(keepends=True):
            self.schedule.add(self._entry(line))
            self.read += len(line)

    def _entry(self, line: bytes) -> Entry:
        try:
            entry = _decode(line)
            if entry.format > FORMAT:
                raise ValueError(f"written by a newer version (format {entry.format}, this one knows {FORMAT})")
        except ValueError as error:
            raise ModelUnreadable(
                f"{self.path}, at byte {self.read}: {error}. Cut the file off there: what was decided by the entries "
                "before stays as it is, and choices go on by the last of them."
            ) from None
        return entry


def publish(folder: Path, made: Callable[[Schedule], Sequence[Entry]]) -> list[Entry]:
    """Add the entries that follow from those that are there, durable all together; one publisher at a time."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / NAME).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        there = SharesFile(folder)
        file.truncate(there.read)  # what a publisher that was killed had only begun to write
        entries = list(made(there.schedule))
        for entry in entries:
            there.schedule.add(entry)  # raises for one that could not be read back
        file.write(b"".join(_encode(entry) + b"\n" for entry in entries))
        file.flush()
        os.fsync(file.fileno())
    return entries
