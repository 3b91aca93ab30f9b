"""Who of one shard is due, by either clock, and is woken: so many between two writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.effects import Effects
from operators.residents import Entry
from state.passages import EVENT_CLOCK, WALL_CLOCK

if TYPE_CHECKING:
    from operators.shard import Shard

DUE_MAX = 512


class Timers:
    """The part of a shard that wakes.

    `event_due` and `wall_due`: when the first is due, of those in the store and of those touched since; never too late.
    """

    def __init__(self, shard: Shard) -> None:
        self._shard = shard
        self._stored_due = shard.store.first_due(EVENT_CLOCK)  # of those in the store that were not looked at
        self.event_due, self.wall_due = self._stored_due, shard.store.first_due(WALL_CLOCK)
        self.has_cleared = False  # timers of people who are gone, since the last write

    def follow(self, entry: Entry) -> None:
        """Somebody was moved, and looked at anew."""
        if entry.event_due < self.event_due:
            self.event_due = entry.event_due
        if entry.wall_due < self.wall_due:
            self.wall_due = entry.wall_due

    def saved(self) -> None:
        """The timers of all who were touched are in the store now."""
        self._stored_due = min(self._stored_due, self.event_due)
        self.has_cleared = False

    def wake(self, clock: int) -> None:
        """Those whose waits ended before this moment of event time."""
        if self.event_due >= clock:
            return
        shard = self._shard
        for chash, entry in list(shard.residents.dirty.items()):
            if entry.event_due < clock:
                shard.wake(chash, entry)
        if self._stored_due < clock and not self._wake_stored(clock):
            return
        self.event_due = min(self._stored_due, shard.residents.soonest_event())

    def _wake_stored(self, clock: int) -> bool:
        """Whether all of them were woken.  Nothing is new in the store before the next write."""
        shard = self._shard
        dirty = shard.residents.dirty
        rows = shard.store.due(EVENT_CLOCK, clock, DUE_MAX)
        for due, chash in rows:
            if chash not in dirty:
                entry = shard.residents.entry(chash)
                if entry.customer.id:
                    shard.wake(chash, entry)
                else:
                    self._clear(EVENT_CLOCK, due, chash)
        if len(rows) == DUE_MAX:
            return False
        self._stored_due = shard.store.first_due(EVENT_CLOCK, clock)
        return True

    def wake_by_wall(self, wall: int, until: int) -> None:
        """Those whose retries are due by `until`, and whose results nobody told."""
        shard = self._shard
        rows = shard.store.due(WALL_CLOCK, until + 1, DUE_MAX)
        for due, chash in rows:
            entry = shard.residents.entry(chash)
            if not entry.customer.id:
                self._clear(WALL_CLOCK, due, chash)
                continue
            shard.fanout.reach(chash, entry)
            effects = Effects()
            shard.around.engine.on_wall(entry.customer, wall, until, effects, shard.around.started_ms)
            shard.residents.dirty[chash] = entry
            shard.follow(chash, entry, effects, None)
        if len(rows) < DUE_MAX:
            self.wall_due = min(shard.store.first_due(WALL_CLOCK, until + 1), shard.residents.soonest_wall())

    def _clear(self, clock: int, due: int, chash: bytes) -> None:
        """The timer of somebody who is no longer there."""
        self._shard.batch.clear_timer(clock, due, chash)
        self.has_cleared = True
        self._shard.residents.forget(chash)
