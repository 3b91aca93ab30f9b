"""Which flows an operator stopped is known, or nothing starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.worker_stops import FILE, stop_flows, stopped_flows
from state.store_errors import StoreRefused


def test_flows_that_were_stopped_are_known_at_the_next_start(tmp_path: Path) -> None:
    assert stopped_flows(tmp_path) == frozenset()
    stop_flows(tmp_path, ["welcome"])
    assert stopped_flows(tmp_path) == {"welcome"}


@pytest.mark.parametrize("raw", ["", '["welc', '"welcome"', "null", "\0\0"])
def test_a_damaged_list_of_stopped_flows_does_not_let_them_run_again(tmp_path: Path, raw: str) -> None:
    (tmp_path / FILE).write_text(raw)
    with pytest.raises(StoreRefused, match=r"stopped-flows\.json: .*backup"):
        stopped_flows(tmp_path)
