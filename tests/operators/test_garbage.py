"""When a worker looks for cycles."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from flows.welcome import welcome
from operators.garbage import BITE, CUSTOMER, RECORD, Garbage
from operators.inputs import SubBatch
from state.records import Record
from tests.operators.shards import START, TOPIC, desk, identify


class Cycle:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def thaw() -> Iterator[None]:
    """Automatic looking is off, and whatever is frozen is as before for the tests that follow."""
    gc.disable()
    yield
    gc.unfreeze()
    gc.enable()


def test_cycles_are_looked_for_once_so_many_customers_were_read(tmp_path: Path) -> None:
    garbage, cycle = Garbage(), weakref.ref(Cycle())
    enough = BITE // CUSTOMER
    with desk(tmp_path, welcome) as shop:
        shop.events(*(identify(f"c{number}") for number in range(enough - 1)))
        garbage.after(shop.shard)
        assert cycle() is not None
        garbage.after(shop.shard)  # nobody came since
        assert cycle() is not None
        shop.events(identify("anna"))
        garbage.after(shop.shard)
        assert cycle() is None


def test_and_once_so_many_records_were(tmp_path: Path) -> None:
    garbage, cycle = Garbage(), weakref.ref(Cycle())
    records = [Record(number, None, b"{}", START) for number in range(BITE // RECORD)]
    with desk(tmp_path, welcome) as shop:
        garbage.after(shop.shard, [SubBatch(TOPIC, 0, 0, len(records), records[:-1], START)])
        assert cycle() is not None
        garbage.after(shop.shard, [SubBatch(TOPIC, 0, 0, len(records), records[-1:], START)])
        assert cycle() is None


def test_who_is_left_is_not_looked_at_again_and_is_freed_all_the_same(tmp_path: Path) -> None:
    gc.collect()
    before = gc.get_freeze_count()
    with desk(tmp_path, welcome) as shop:
        shop.events(*(identify(f"c{number}") for number in range(100)))
        Garbage().after(shop.shard)
        frozen = gc.get_freeze_count() - before
        assert frozen > 100
        assert len(gc.get_objects()) < 100
        for number in range(100):
            shop.shard.residents.forget(shop.shard.around.ids.customer(f"c{number}".encode()))
        assert gc.get_freeze_count() - before < frozen
