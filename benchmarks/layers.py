"""Where the time of a replay goes: what the dataflow's thread is at, looked at every millisecond.

A sample counts for the innermost function that belongs to a layer; helpers without one (ids, instants) count for
whoever called them, and native code (msgspec, RocksDB, AES) for the Python function that called it.  When the
dataflow's thread runs no Python at all it is inside of Bytewax.  The looking thread gets its turn when the
interpreter lets it, which is after a native call rather than within: a share is good to about two percent.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Self

INTERVAL_SECONDS = 0.001
OTHER = "other: start, end, merging what was decided"
OF = "operators.dataflow."
RUN = "operators.dataflow.run"

READ = "read lines, find the shard"
DECODE = "decode"
MOVE = "dedup, windows, flows"
DECIDE = "guards, decisions"
SEAL = "encode, encrypt, keys"
ROCKS = "RocksDB: get, iterate, write"
EXCHANGE = "Bytewax, exchange"
ORDER = (READ, EXCHANGE, DECODE, MOVE, DECIDE, SEAL, ROCKS, OTHER)

# By module, or by module and function where a module serves two layers.
_LAYERS = {
    "operators.files": READ,
    "operators.sources": READ,
    "state.decode.peek": READ,
    "state.decode": DECODE,
    "state.properties": DECODE,
    "state.fields": DECODE,
    "state.money": DECODE,
    "operators.engine": MOVE,
    "operators.journey": MOVE,
    "operators.observe": MOVE,
    "operators.carts": MOVE,
    "operators.windows": MOVE,
    "operators.held": MOVE,
    "operators.clock": MOVE,
    "operators.shard": MOVE,
    "state.customer": MOVE,
    "operators.residents": MOVE,
    "flows.welcome": MOVE,
    "flows.abandoned_cart": MOVE,
    "operators.sending": DECIDE,
    "operators.guards": DECIDE,
    "operators.local_time": DECIDE,
    "operators.shard._write_down": DECIDE,
    "state.decisions": DECIDE,
    "flows.messages": DECIDE,
    "flows.cli_replay.on_decided": DECIDE,
    "operators.residents._save": SEAL,
    "state.batch": SEAL,
    "state.codec": SEAL,
    "state.keys": SEAL,
    "state.keyring": SEAL,
    "state.event_codec": SEAL,
    "state.batch.writes": ROCKS,
    "state.rocks": ROCKS,
    "state.store": ROCKS,
    "state.store_reading": ROCKS,
    "operators.dataflow": EXCHANGE,
}


class Layers:
    """Looks at the other threads while it is open, of which one is inside of `dataflow.run`."""

    def __init__(self) -> None:
        self.counts = Counter[str]()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._interval = sys.getswitchinterval()

    def __enter__(self) -> Self:
        sys.setswitchinterval(INTERVAL_SECONDS / 5)
        self._thread = threading.Thread(target=self._look, name="layers", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        sys.setswitchinterval(self._interval)

    def summed(self) -> Layers:
        """The counts alone, to be sent to another process."""
        found = Layers.__new__(Layers)
        found.counts = self.counts
        return found

    def table(self) -> list[tuple[str, float]]:
        """(layer, share of all samples)"""
        total = sum(self.counts.values()) or 1
        return [(layer, self.counts[layer] / total) for layer in ORDER]

    def _look(self) -> None:
        mine = threading.get_ident()
        while not self._stop.is_set():
            time.sleep(INTERVAL_SECONDS)
            stacks = [stack_of(frame) for thread, frame in sys._current_frames().items() if thread != mine]
            self.counts[layer_of(stacks)] += 1


def stack_of(frame: FrameType | None) -> list[str]:
    """Our functions in a stack, the innermost first, each as module and name."""
    found = []
    while frame is not None:
        module = _module(frame.f_code.co_filename)
        if module is not None:
            found.append(f"{module}.{frame.f_code.co_name}")
        frame = frame.f_back
    return found


def layer_of(stacks: list[list[str]]) -> str:
    """The layer that the dataflow is in, by the stacks of all threads."""
    if not any(RUN in stack for stack in stacks):
        return OTHER  # before its start, or after its end
    for stack in stacks:
        # Bytewax works on the thread that runs it, in a cluster on one of its own.
        within = stack[: stack.index(RUN)] if RUN in stack else stack
        if not any(each.startswith(OF) for each in within):
            continue
        for each in within:
            layer = _LAYERS.get(each) or _LAYERS.get(each.rpartition(".")[0])
            if layer is not None:
                return layer
    return EXCHANGE


_modules: dict[str, str | None] = {}


def _module(file: str) -> str | None:
    if file not in _modules:
        path = Path(file)
        package = path.parent.name
        ours = package in ("operators", "state", "flows", "connectors", "config")
        _modules[file] = f"{package}.{path.stem}" if ours else None
    return _modules[file]
