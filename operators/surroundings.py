"""What the shards of a process share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from operators.engine import Engine
from operators.fanout import Pace, Words
from operators.program import Program
from operators.retention import Keep
from state.decode import Decoder
from state.ids import Ids
from state.records import TopicPartition
from state.store_errors import StoreFull


@dataclass(frozen=True)
class Surroundings:
    """What the shards of a process share.

    `wall` gives seconds since 1970.  `on_full` is called when the disk takes no more, before the same write
    is tried again: it waits a little, and may raise to give up.
    """

    engine: Engine
    program: Program
    ids: Ids
    decoder: Decoder
    wall: Callable[[], float]
    on_full: Callable[[StoreFull], None]
    clock: Literal["live", "replay"]
    processes: int
    started_ms: int
    cache_customers: int  # per shard
    publishes: bool  # False: decisions are handed back, neither kept nor written to the outbox
    keep: Keep | None = None  # None: for ever
    origins: Mapping[TopicPartition, int] = field(default_factory=dict)  # where the first start began
    shards: int = 1
    words_first: bool = False  # take events in only when all has been read that was told to the shards so far
    words: Words = field(default_factory=Words)  # of the catalogue, as they were read
    pace: Pace = field(default_factory=Pace)  # of news of the catalogue, for all shards together
