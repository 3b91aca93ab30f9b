"""The outbox of one shard: rows written with what caused them, and removed when the log has them."""

from __future__ import annotations

from state.store import Batch, Row, ShardStore

AGES_MAX = 10_000


class Outbox:
    """Rows are numbered without gaps; `ready` ones are on disk and were not handed to the publisher yet."""

    def __init__(self, store: ShardStore, wall: int) -> None:
        self.ready: list[Row] = []
        self.count = store.outbox_rows()
        self._next = store.last_outbox() + 1
        self._new: list[Row] = []
        self._acked: list[int] = []
        self._since: dict[int, int] = {}  # when (wall, ms) each of the oldest rows was written
        self._oldest_at = wall  # of rows of an earlier run only that they are older than this one

    @property
    def is_idle(self) -> bool:
        return not (self._new or self._acked)

    def add(self, batch: Batch, chash: bytes, topic: str, key: bytes, value: bytes) -> None:
        seq = self._next
        self._next += 1
        batch.add_outbox(seq, chash, topic, key, value)
        self._new.append(Row(seq, chash, topic, key, value))

    def acknowledge(self, seq: int) -> None:
        """The log has this row, or it is not wanted any more: it goes with the next write."""
        self._acked.append(seq)

    def save(self, batch: Batch) -> None:
        for seq in self._acked:
            batch.remove_outbox(seq)

    def saved(self, wall: int) -> None:
        """The batch is on disk: what it added may leave, what was acknowledged is gone."""
        self.count += len(self._new) - len(self._acked)
        for row in self._new[: AGES_MAX - len(self._since)]:
            self._since[row.seq] = wall
        for seq in self._acked:
            self._since.pop(seq, None)
        self._oldest_at = next(iter(self._since.values()), wall)
        self.ready += self._new
        self._new = []
        self._acked = []

    def oldest_age_ms(self, wall: int) -> int:
        """How long the oldest row has waited, those of an earlier run since this one began.  Any thread."""
        return max(0, wall - self._oldest_at) if self.count else 0
