"""By which shares a choice draws at a moment: entries that are only ever added, each valid from a moment of event time.

So a decision is the same whenever it is made, by whatever worker: it depends on its moment and on entries that cannot
change.  Whoever adds one must let it begin later than anything that was decided without it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from operators.bandits.learning import State
from operators.steps import Arm, Choose
from state.passages import Chosen

FORMAT = 1

Policy = Mapping[str, Mapping[str, float]]
"""Shares by context and arm; the context "" stands for those that are not named."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Shares by context and arm from `begins` (event time, ms) on.  Fields are only ever added, with a default.

    `number` counts the entries of one choice from 1.  `learnt_at` and `tries` say from what it was learnt.  After one
    that is `held` none is learnt until it is released.
    """

    choice: str
    number: int
    begins: int
    shares: dict[str, dict[str, float]]
    state: State = "learning"
    regret: float = 0.0
    stopped: tuple[str, ...] = ()
    tries: int = 0
    learnt_at: int = 0
    format: int = FORMAT
    held: bool = False


class Schedule:
    """The entries of all choices.  `add` is called by one thread while others draw."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._begins: dict[str, list[int]] = {}
        self._entries: dict[str, list[Entry]] = {}
        for entry in entries:
            self.add(entry)

    def add(self, entry: Entry) -> None:
        """Raises `ValueError` for one that does not come after those that are there."""
        entries = self._entries.setdefault(entry.choice, [])
        if entries and (entry.number != entries[-1].number + 1 or entry.begins <= entries[-1].begins):
            raise ValueError(
                f'shares {entry.number} of choice "{entry.choice}" do not come after shares {entries[-1].number}, '
                "which are there already"
            )
        entries.append(entry)
        self._begins.setdefault(entry.choice, []).append(entry.begins)

    def at(self, choice: str, moment: int) -> Entry | None:
        """What holds then; None before the first entry begins."""
        begins = self._begins.get(choice)
        place = bisect_right(begins, moment) if begins else 0
        return self._entries[choice][place - 1] if place else None

    def last(self, choice: str) -> Entry | None:
        entries = self._entries.get(choice)
        return entries[-1] if entries else None

    def numbered(self, choice: str, number: int) -> Entry | None:
        entries = self._entries.get(choice, ())
        return entries[number - 1] if 0 < number <= len(entries) else None

    def draw(self, step: Choose[Any], context: str, moment: int, share: float) -> tuple[Arm[Any], Chosen]:
        """The arm whose slice of [0, 1) holds this share.

        Where what was learnt is of other arms or conditions than the flow has now, the flow's own shares hold.
        """
        entry = self.at(step.name, moment)
        shares = entry.shares.get(context) if entry is not None else None
        if entry is None or shares is None or shares.keys() != {arm.name for arm in step.arms}:
            number, shares = 0, {arm.name: arm.percent / 100 for arm in step.arms}
        else:
            number = entry.number
        arm = _slice_of(step.arms, shares, share)
        return arm, Chosen(step.name, arm.name, shares[arm.name], number, context)


def _slice_of(arms: tuple[Arm[Any], ...], shares: Mapping[str, float], share: float) -> Arm[Any]:
    reached = 0.0
    for arm in arms:
        reached += shares[arm.name]
        if share < reached:
            return arm
    return next(arm for arm in reversed(arms) if shares[arm.name] > 0)  # the shares add up to almost one
