"""A Kafka broker of a proof's own: on free ports, empty at first, gone afterwards; to be frozen, killed and cut off."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kafka.partitioner.default import murmur2  # type: ignore[import-untyped]

from benchmarks.proof.deployment import ROOT, Failed, free_ports
from benchmarks.proof.proxy import Proxy

SECONDS_MAX = 300.0  # the first start fetches the jars


def partition_of(id: str, partitions: int) -> int:
    """Where Kafka's own partitioner puts a customer's events."""
    return int(murmur2(id.encode())) % 2**31 % partitions


def ids_in(partition: int, partitions: int, before: str) -> Iterator[str]:
    """Ids, without end, whose events Kafka's own partitioner puts there."""
    ids = (f"{before}-{number:03}" for number in itertools.count())
    return (id for id in ids if partition_of(id, partitions) == partition)


class Broker:
    """`servers` leads to it directly; on `proxied` it advertises the port of `proxy`, so that all goes that way."""

    def __init__(self) -> None:
        self._port = free_ports(4)
        self.home = ROOT / ".local" / f"kafka-{self._port}"
        self.home.mkdir(parents=True)
        self.servers, self.proxied = f"127.0.0.1:{self._port}", f"127.0.0.1:{self._port + 3}"
        (self.home / "more.properties").write_text(
            f"""
listeners=PLAINTEXT://{self.servers},PROXIED://127.0.0.1:{self._port + 2},CONTROLLER://127.0.0.1:{self._port + 1}
advertised.listeners=PLAINTEXT://{self.servers},PROXIED://{self.proxied}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT
"""
        )
        self.proxy = Proxy(self._port + 3, self._port + 2)

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Broker]:
        """Raises `Failed` where there can be none."""
        broker = cls()
        try:
            broker.start()
            yield broker
        finally:
            broker.proxy.close()
            broker._script("stop.sh")
            shutil.rmtree(broker.home, ignore_errors=True)

    def start(self) -> None:
        """Starts it, or starts it again with what it had."""
        self._script("start.sh")

    def kill(self) -> None:
        """`kill -9`, and wait until it is gone."""
        pid = self._pid()
        os.kill(pid, signal.SIGKILL)
        while Path(f"/proc/{pid}").exists() and b"kafka.Kafka" in Path(f"/proc/{pid}/cmdline").read_bytes():
            time.sleep(0.01)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Alive, connected, and silent."""
        os.kill(self._pid(), signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._pid(), signal.SIGCONT)

    def _pid(self) -> int:
        return int((self.home / "pid").read_text())

    def _script(self, name: str) -> None:
        told = {
            "KAFKA_PORT": str(self._port),
            "KAFKA_HOME": str(self.home),
            "KAFKA_JAVA": "-XX:TieredStopAtLevel=1",
            "KAFKA_PROPERTIES": str(self.home / "more.properties"),
        }
        command = [str(ROOT / "deploy" / "kafka" / name)]
        done = subprocess.run(
            command, env={**os.environ, **told}, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
        )
        if done.returncode:
            raise Failed(done.stderr.strip() or done.stdout.strip())


@contextmanager
def broker() -> Iterator[str]:
    """The bootstrap servers of one that nobody disturbs.  Raises `Failed` where there can be none."""
    with Broker.running() as running:
        yield running.servers
