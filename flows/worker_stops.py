"""Which flows an operator has stopped: a small file beside the state, which workers look at every second."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from state.files import write_whole
from state.store_errors import StoreRefused

FILE = "stopped-flows.json"


def stopped_flows(data_dir: Path) -> frozenset[str]:
    """Raises `StoreRefused` for a file that is not as it was written: a flow that was stopped must not run again."""
    path = data_dir / FILE
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return frozenset()
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise StoreRefused(
            f"{path}: this is no list of flows. Put it back from a backup, or remove it and stop flows anew."
        )
    return frozenset(str(name) for name in found)


def stop_flows(data_dir: Path, flows: Iterable[str]) -> None:
    """From now on these are stopped, and no others."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(data_dir / FILE, json.dumps(sorted(flows)))
