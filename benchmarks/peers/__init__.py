"""The same job done by Impuls and by what a user would pick instead; each peer in an environment of its own.

`job` says what the job is and what must come out, `peer_*` is each one's program, `suite` runs and compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmarks.peers.suite import Row


def run(only: Sequence[str] = (), customers: int | None = None, repeat: int = 3) -> list[Row]:
    """A row for each peer that could be run; see `benchmarks.peers.suite`."""
    # Here, for the peers' own programs import this package where nothing of ours is installed.
    from benchmarks.peers import suite

    return suite.run(only, customers, repeat)
