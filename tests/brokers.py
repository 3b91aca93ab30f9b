"""An Apache Kafka of the tests' own, which they may freeze, kill and start again: on free ports, with its data apart,
gone when the run ends. Whoever runs a broker with `make kafka` never notices."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from tests.certificates import Certificates

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "deploy" / "kafka"
HOMES = ROOT / ".local" / "kafka-tests"
NOT_INSTALLED = 3  # how start.sh ends
START_SECONDS_MAX = 300  # the first start fetches the jars
# Below what systems give to outgoing connections, one of which could take the port before the broker does.
PORTS = range(20_000, 30_000)
USER, PASSWORD = "impuls", "s3cret, with a comma"


@cache
def what_kafka_lacks() -> str:
    """Empty where a broker can be started; else what is not installed here. Fetches the jars."""
    done = _run("start.sh", {}, "prepare")
    if done.returncode == NOT_INSTALLED:
        return done.stderr.strip()
    _check(done)
    return ""


class Broker:
    """One node. `tls_servers` asks for a client's certificate, `sasl_servers` for a user and password over TLS."""

    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.certificates = Certificates(home)
        self._port = port
        self.servers, self.tls_servers, self.sasl_servers = (f"127.0.0.1:{port + n}" for n in (0, 2, 3))

    @classmethod
    def made(cls, home: Path) -> Broker:
        """A new one, not started yet."""
        home.mkdir(parents=True)
        broker = cls(home, _free_ports(4))
        broker.certificates.make()
        (home / "more.properties").write_text(broker._more_properties())
        return broker

    @contextmanager
    def for_one_deployment(self) -> Iterator[None]:
        """Whoever comes meanwhile waits."""
        with _locked(self.home / "deployment"):
            yield

    def start(self) -> None:
        """Starts it, or starts it again with the data it had; returns when it serves."""
        self._script("start.sh")

    def stop(self) -> None:
        self._script("stop.sh")

    def kill(self) -> None:
        """As a machine that loses its power would end it."""
        self._signal(signal.SIGKILL)
        while Path(f"/proc/{self._pid()}").exists() and not self._is_dead():
            pass

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Alive, connected, and silent."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        os.kill(self._pid(), number)

    def _pid(self) -> int:
        return int((self.home / "pid").read_text())

    def _is_dead(self) -> bool:
        stat = Path(f"/proc/{self._pid()}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] in "ZX"

    def _script(self, name: str) -> None:
        told = {
            "KAFKA_PORT": str(self._port),
            "KAFKA_HOME": str(self.home),
            "KAFKA_JAVA": "-XX:TieredStopAtLevel=1",  # up in half the time, and never up for long
            "KAFKA_PROPERTIES": str(self.home / "more.properties"),
        }
        _check(_run(name, told))

    def _more_properties(self) -> str:
        listeners = f"PLAINTEXT://{self.servers},SSL://{self.tls_servers},SASL_SSL://{self.sasl_servers}"
        login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
        return f"""
listeners={listeners},CONTROLLER://127.0.0.1:{self._port + 1}
advertised.listeners={listeners}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL,CONTROLLER:PLAINTEXT
ssl.keystore.type=PEM
ssl.keystore.location={self.certificates.broker_with_key}
ssl.truststore.type=PEM
ssl.truststore.location={self.certificates.authority}
listener.name.ssl.ssl.client.auth=required
listener.name.sasl_ssl.ssl.client.auth=none
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_ssl.plain.sasl.jaas.config={login} user_{USER}="{PASSWORD}";
log.retention.check.interval.ms=1000
log.initial.task.delay.ms=500
"""


@contextmanager
def running_broker(name: str) -> Iterator[Broker]:
    """A fresh one. Its folder tells whose it is, so that one left over by a killed run is cleared by the next."""
    _clear_left_over()
    broker = Broker.made(HOMES / f"{os.getpid()}-{name}")
    try:
        broker.start()
        yield broker
    finally:
        _clear(broker.home)


def shared_broker() -> Broker:
    """The one of this run, for all of its workers: started by the first that asks, ended by `end_shared_broker`."""
    home, told = _shared_home(), _shared_home() / "port"
    HOMES.mkdir(parents=True, exist_ok=True)
    with _locked(HOMES / "lock"):
        if told.exists():
            return Broker(home, int(told.read_text()))
        _clear_left_over()
        _clear(home)  # where starting it failed before
        broker = Broker.made(home)
        broker.start()
        told.write_text(str(broker._port))
        return broker


def end_shared_broker() -> None:
    """Called when nobody runs tests any more."""
    if _shared_home().exists():
        _clear(_shared_home())


def _shared_home() -> Path:
    """Named after the process that the whole run belongs to: the one that shares tests out is its workers' parent."""
    run = os.getppid() if "PYTEST_XDIST_WORKER" in os.environ else os.getpid()
    return HOMES / f"{run}-shared"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _clear_left_over() -> None:
    for home in HOMES.glob("*-*"):
        if not Path(f"/proc/{home.name.split('-')[0]}").exists():
            _clear(home)


def _clear(home: Path) -> None:
    _run("stop.sh", {"KAFKA_HOME": str(home)})
    shutil.rmtree(home, ignore_errors=True)


def _run(name: str, told: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(SCRIPTS / name), *arguments]
    env = {**os.environ, **told}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=START_SECONDS_MAX, check=False)


def _check(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        raise RuntimeError(done.stderr.strip() or done.stdout.strip())


def _free_ports(count: int) -> int:
    """The first of so many in a row."""
    while True:
        first = random.choice(PORTS)
        if all(_is_free(port) for port in range(first, first + count)):
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
