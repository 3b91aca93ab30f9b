"""The Bytewax dataflow: sources → one key per shard → shards → what was decided.

The only module that knows Bytewax.  One worker thread per process; order per source and shard is kept,
because the shards are the first stateful stage.  Bytewax's own recovery is not used: the shards are the
truth about progress (see ARCHITECTURE in the docs).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from time import perf_counter
from typing import Any, Protocol

import bytewax.operators as op
from bytewax._bytewax import cluster_main, run_main
from bytewax.dataflow import Dataflow
from bytewax.errors import BytewaxRuntimeError
from bytewax.inputs import DynamicSource, StatelessSourcePartition
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import DynamicSink, StatelessSinkPartition

from operators import metrics
from operators.garbage import Garbage
from operators.host import Publisher, Stop
from operators.inputs import Input, SubBatch
from operators.shard import Shard

EPOCH = timedelta(seconds=1)
POLL_PAUSE = timedelta(milliseconds=0.5)
TICK = timedelta(milliseconds=5)
_SIP_KEYS_TRIED_MAX = 100_000

OpenShard = Callable[[int], Shard]


class Source(Protocol):
    """What a worker reads from; see `operators.sources` and `operators.files`."""

    def poll(self) -> Sequence[tuple[int, Input]]:
        """(shard, input) pairs, empty when there is nothing now.  Raises `StopIteration` at the end of all input."""

    def last(self) -> Sequence[tuple[int, Input]]:
        """What the shards must still be told of what was read, when it is to be read no further."""


def shard_keys(shards: int) -> list[str]:
    """Bytewax keys for the shards, chosen so that they spread evenly over 1, 2, 4, 8 … workers.

    Bytewax places a key by SipHash-1-3 of its text modulo the number of workers; shard `n` gets a key
    whose hash is `n` modulo the number of shards.
    """
    keys: dict[int, str] = {}
    for n in range(_SIP_KEYS_TRIED_MAX):
        text = f"s{n}"
        keys.setdefault(_siphash13(text.encode() + b"\xff") % shards, text)
        if len(keys) == shards:
            return [keys[shard] for shard in range(shards)]
    raise AssertionError("the hash does not spread")


def build(
    open_source: Callable[[int, int], Source],
    open_shard: OpenShard,
    shards: int,
    *,
    publisher: Publisher | None,
    stop: Stop,
    on_decided: Callable[[Shard], None] | None = None,
    garbage: Garbage | None = None,
) -> Dataflow:
    """The dataflow of one process.  Without a publisher, what was decided goes to `on_decided`."""
    keys = shard_keys(shards)
    flow = Dataflow("impuls")
    inputs = op.input("sources", flow, _Sources(open_source, keys, publisher, stop))
    opened: dict[int, Shard] = {}

    def logic(_: object) -> _ShardLogic:
        return _ShardLogic(open_shard, opened, publisher, on_decided, garbage)

    done = op.stateful_batch("shards", inputs, logic)
    op.output("done", done, _Nowhere())
    return flow


def run(flow: Dataflow, addresses: list[str] | None = None, process: int = 0) -> None:
    """Run to the end of all input.  `addresses` of all processes where there are several.

    Raises what a source or a shard raised, not what Bytewax makes of it.
    """
    try:
        if addresses is None:
            # On this thread: one of Bytewax's own would be given a Python thread state with every call, and take the
            # lock of the interpreter a thousand times a second only to see whether it has ended.
            run_main(flow, epoch_interval=EPOCH)  # type: ignore[no-untyped-call]
        else:
            cluster_main(flow, addresses, process, epoch_interval=EPOCH)  # type: ignore[no-untyped-call]
    except BytewaxRuntimeError as error:
        first: BaseException = error
        while isinstance(first, BytewaxRuntimeError) and first.__cause__ is not None:
            first = first.__cause__
        raise first from None


# The builder of a logic is not told its key, so every input carries the number of its shard.
_Keyed = tuple[str, tuple[int, Input]]


class _Sources(DynamicSource[_Keyed]):
    def __init__(
        self, open_source: Callable[[int, int], Source], keys: list[str], publisher: Publisher | None, stop: Stop
    ) -> None:
        self._open, self._keys, self._publisher, self._stop = open_source, keys, publisher, stop

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Partition:
        if worker_count > 1:
            _keep_thread_state()
        return _Partition(self._open(worker_index, worker_count), self._keys, self._publisher, self._stop)


class _Partition(StatelessSourcePartition[_Keyed]):
    def __init__(self, source: Source, keys: list[str], publisher: Publisher | None, stop: Stop) -> None:
        self._source, self._keys, self._publisher, self._stop = source, keys, publisher, stop
        self._awake: datetime | None = None
        self._round_began = 0.0
        self._has_ended = False

    def next_batch(self) -> Iterable[_Keyed]:
        if self._round_began:
            metrics.EPOCH.observe(perf_counter() - self._round_began)
        if self._stop.asked:
            if self._has_ended:
                raise StopIteration
            self._has_ended = True
            return self._keyed(self._source.last())
        if self._publisher is not None:
            self._publisher.turn()
        out = self._keyed(self._source.poll())
        self._awake = None if out else datetime.now(UTC) + POLL_PAUSE
        self._round_began = perf_counter() if out else 0.0
        return out

    def next_awake(self) -> datetime | None:
        return self._awake

    def _keyed(self, found: Iterable[tuple[int, Input]]) -> list[_Keyed]:
        keys = self._keys
        return [(keys[item[0]], item) for item in found]


class _ShardLogic(StatefulBatchLogic[tuple[int, Input], None, None]):
    def __init__(
        self,
        open_shard: OpenShard,
        opened: dict[int, Shard],
        publisher: Publisher | None,
        on_decided: Callable[[Shard], None] | None,
        garbage: Garbage | None,
    ) -> None:
        self._open, self._opened = open_shard, opened
        self._publisher, self._on_decided, self._garbage = publisher, on_decided, garbage
        self._shard: Shard | None = None

    def on_batch(self, values: list[tuple[int, Input]]) -> tuple[Iterable[None], bool]:
        shard = self._shard
        if shard is None:
            shard = self._shard = self._opened[values[0][0]] = self._open(values[0][0])
            if self._publisher is not None:
                self._publisher.add(shard)
        began = perf_counter()
        inputs = [value for _, value in values]
        shard.take(inputs)
        self._tell(shard)
        if len(inputs) > 1 or isinstance(inputs[0], SubBatch):  # word of progress alone would hide the others
            metrics.SHARD_BATCH.observe(perf_counter() - began)
        if self._garbage is not None:
            self._garbage.after(shard, inputs)
        return (), False

    def on_notify(self) -> tuple[Iterable[None], bool]:
        if self._shard is not None and self._shard.behind:
            self._shard.tick()
            self._tell(self._shard)
            if self._garbage is not None:
                self._garbage.after(self._shard)
        return (), False

    def on_eof(self) -> tuple[Iterable[None], bool]:
        return (), False

    def notify_at(self) -> datetime | None:
        return datetime.now(UTC) + TICK if self._shard is not None and self._shard.behind else None

    def snapshot(self) -> None:
        return None

    def _tell(self, shard: Shard) -> None:
        if self._publisher is not None:
            self._publisher.publish(shard)
        elif self._on_decided is not None:
            self._on_decided(shard)


class _Nothing(StatelessSinkPartition[Any]):
    def write_batch(self, items: list[Any]) -> None:
        pass


class _Nowhere(DynamicSink[Any]):
    def build(self, step_id: str, worker_index: int, worker_count: int) -> _Nothing:
        return _Nothing()


def _keep_thread_state() -> None:
    """Hold on to the Python state of this thread, which Bytewax made, for as long as the process lives.

    Else it is made anew, stack and all, with every call from Bytewax: several times for each event that comes alone.
    """
    ctypes.pythonapi.PyGILState_Ensure()


_MASK = (1 << 64) - 1


def _siphash13(data: bytes) -> int:
    """SipHash-1-3 with a zero key (Aumasson and Bernstein, 2012): what Rust's default hasher computes."""
    v0, v1, v2, v3 = 0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573

    def rounds(n: int) -> None:
        nonlocal v0, v1, v2, v3
        for _ in range(n):
            v0 = (v0 + v1) & _MASK
            v1 = _rotated(v1, 13) ^ v0
            v0 = _rotated(v0, 32)
            v2 = (v2 + v3) & _MASK
            v3 = _rotated(v3, 16) ^ v2
            v0 = (v0 + v3) & _MASK
            v3 = _rotated(v3, 21) ^ v0
            v2 = (v2 + v1) & _MASK
            v1 = _rotated(v1, 17) ^ v2
            v2 = _rotated(v2, 32)

    whole = len(data) - len(data) % 8
    for at in range(0, whole, 8):
        word = int.from_bytes(data[at : at + 8], "little")
        v3 ^= word
        rounds(1)
        v0 ^= word
    last = int.from_bytes(data[whole:], "little") | (len(data) & 0xFF) << 56
    v3 ^= last
    rounds(1)
    v0 ^= last
    v2 ^= 0xFF
    rounds(3)
    return v0 ^ v1 ^ v2 ^ v3


def _rotated(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _MASK
