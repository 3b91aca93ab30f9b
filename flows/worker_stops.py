"""Which flows an operator has stopped: a small file beside the state, which workers look at every second."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from state.files import write_whole

FILE = "stopped-flows.json"


def stopped_flows(data_dir: Path) -> frozenset[str]:
    try:
        found = json.loads((data_dir / FILE).read_text())
    except (FileNotFoundError, ValueError):
        return frozenset()
    return frozenset(str(name) for name in found) if isinstance(found, list) else frozenset()


def stop_flows(data_dir: Path, flows: Iterable[str]) -> None:
    """From now on these are stopped, and no others."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(data_dir / FILE, json.dumps(sorted(flows)))
