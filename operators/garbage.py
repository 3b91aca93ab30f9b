"""Looking for cycles in true bites, after the batches of the shards.

Python looks through what is young when there are so many objects more than before.  Where customers are read and let
go of in turn there are never many more, however many are new: the young ones had become hundreds of thousands when
they were looked through at last, for a tenth of a second and more.  So they are looked through by what was taken in.
What is left then, customers nearly all, holds no cycles and is not looked at again; it is freed when it is let go of.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable

from operators.inputs import Input, SubBatch
from operators.shard import Shard

CUSTOMER, RECORD = 200, 25  # objects that come with a customer who is read, and stay of a record; roughly
BITE = 8_000  # objects: one to three milliseconds


class Garbage:
    """Of one process.  Whatever else it does may look for cycles as Python has it."""

    def __init__(self) -> None:
        self._young = 0

    def after(self, shard: Shard, inputs: Iterable[Input] = ()) -> None:
        """A batch was taken in by this shard."""
        records = sum(len(each.records) for each in inputs if isinstance(each, SubBatch))
        self._young += CUSTOMER * shard.residents.came + RECORD * records
        shard.residents.came = 0
        if self._young >= BITE:
            self._young = 0
            gc.collect(1)
            gc.freeze()
