"""State that an older version left is gone on with as if nothing had been changed: every released format is kept."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.proof import old_state

KEPT = sorted((Path(old_state.__file__).parent / "old_states").glob("*.tar.gz"))
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the proofs find their children in /proc")


def test_there_is_a_state_of_each_format() -> None:
    assert [path.name for path in KEPT] == ["format-1.tar.gz"]


@pytest.mark.timeout(400)  # of a machine that has other work
@pytest.mark.parametrize("kept", KEPT, ids=lambda path: path.stem)
def test_customers_of_an_older_version_hear_what_they_would_have_heard(kept: Path, tmp_path: Path) -> None:
    verdict = old_state.go_on(kept, tmp_path)
    assert verdict.broken == []
    assert verdict.decisions > 100
    assert verdict.mails > 50
