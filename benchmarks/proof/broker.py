"""A Kafka broker of a proof's own: on free ports, empty at first, gone afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.proof.deployment import ROOT, Failed, free_ports

SECONDS_MAX = 300.0  # the first start fetches the jars


@contextmanager
def broker() -> Iterator[str]:
    """Its bootstrap servers.  Raises `Failed` where there can be none."""
    port = free_ports()
    try:
        _script("start.sh", port)
        yield f"127.0.0.1:{port}"
    finally:
        _script("stop.sh", port)
        shutil.rmtree(ROOT / ".local" / f"kafka-{port}", ignore_errors=True)


def _script(name: str, port: int) -> None:
    environment = {**os.environ, "KAFKA_PORT": str(port)}
    command = [str(ROOT / "deploy" / "kafka" / name)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    if done.returncode:
        raise Failed(done.stderr.strip() or done.stdout.strip())
