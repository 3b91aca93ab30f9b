"""A real Kafka for the tests that need one: the running one, or one started for this session and stopped after it."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "deploy" / "kafka"
SECONDS_MAX = 300  # the first start fetches the jars


def script(name: str, port: int) -> None:
    done = subprocess.run(
        [str(SCRIPTS / name)],
        env={**os.environ, "KAFKA_PORT": str(port)},
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or done.stdout.strip())


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture(scope="session")
def kafka_servers() -> Iterator[str]:
    port = 19092
    ran = listens(port)
    try:
        script("start.sh", port)
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no Kafka, and on CI there must be one: {error}")
        pytest.skip(f"left out, no Kafka here: {error}")
    yield f"127.0.0.1:{port}"
    if not ran:
        script("stop.sh", port)
