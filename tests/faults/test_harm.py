"""The machine that does harm: its clock is wrong when it is told to be, and a power cut takes what was never synced."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.proof.deployment import Failed
from benchmarks.proof.harm import Harm

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD is Linux's")
WRITES = """
import os, sys
for name, synced, more in (("both", b"a" * 5000, b"b" * 5000), ("never", b"", b"c" * 5000), ("all", b"d" * 5000, b"")):
    with open(sys.argv[1] + "/" + name, "wb", buffering=0) as out:
        out.write(synced)
        if synced:
            os.fdatasync(out.fileno())
        out.write(more)
"""


@pytest.fixture
def harm(tmp_path: Path) -> Harm:
    try:
        return Harm(tmp_path)
    except Failed as error:
        pytest.skip(f"left out: {error}")


def run(harm: Harm, code: str, *arguments: str) -> str:
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, env={**os.environ, **harm.environment}, check=True, capture_output=True, text=True
    ).stdout


def test_the_clock_on_the_wall_is_wrong_and_the_other_one_is_not(harm: Harm) -> None:
    harm.ahead = 3600.0
    wall, monotonic = map(float, run(harm, "import time; print(time.time(), time.monotonic())").split())
    assert 3590 < wall - time.time() <= 3600
    assert abs(monotonic - time.monotonic()) < 60


@pytest.mark.parametrize("seed", range(5))
def test_a_power_cut_takes_nothing_that_was_synced(harm: Harm, tmp_path: Path, seed: int) -> None:
    data = tmp_path / "data"
    data.mkdir()
    run(harm, WRITES, str(data))
    lost = harm.cut_power(random.Random(seed), data)
    assert (data / "both").read_bytes()[:5000] == b"a" * 5000
    assert (data / "all").read_bytes() == b"d" * 5000
    left = (data / "both").read_bytes()[5000:].count(b"b") + (data / "never").read_bytes().count(b"c")
    assert lost >= 10_000 - left


def test_some_power_cut_takes_something(harm: Harm, tmp_path: Path) -> None:
    losses = []
    for seed in range(8):
        data = tmp_path / f"data-{seed}"
        data.mkdir()
        run(harm, WRITES, str(data))
        losses.append(harm.cut_power(random.Random(seed), data))
    assert max(losses) > 0
    assert len(set(losses)) > 1
