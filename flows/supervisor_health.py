"""`/metrics`, `/healthz` and `/readyz` of all the processes of one supervisor, at one address."""

from __future__ import annotations

import errno
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from config.settings import Settings
from config.values import Address
from operators import balance

STALE_SECONDS = 10.0


class AddressTaken(OSError):
    """Somebody else listens where we would; the text has the way out."""


class Health:
    """Answers from the processes' heartbeats; `alive` is the supervisor's own word about them."""

    def __init__(self, settings: Settings, workers: int, alive: Callable[[], bool]) -> None:
        self._folder = settings.data_dir / "run"
        self._workers, self._alive = workers, alive
        self._listen = settings.metrics.listen
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Answer from now on.  Raises `AddressTaken`, or `OSError` where there is no such address, with the way out."""
        if self._listen is None:
            return
        health = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, body = health.answer(self.path.partition("?")[0])
                self.send_response(status)
                self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = _server(self._listen, Handler)
        threading.Thread(target=self._server.serve_forever, name="health", daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def answer(self, path: str) -> tuple[int, bytes]:
        if path == "/metrics":
            registry = CollectorRegistry()
            registry.register(Merged(self._folder))
            return 200, generate_latest(registry)
        if path == "/healthz":
            return (200, b"ok\n") if self._alive() else (503, b"a process is down and about to be restarted\n")
        if path == "/readyz":
            waiting = [f"worker-{n}" for n in range(self._workers) if not self._ready(f"worker-{n}")]
            if waiting:
                return 503, f"not ready: {', '.join(waiting)}\n".encode()
            return 200, b"ready\n"
        return 404, b"there are /metrics, /healthz and /readyz\n"

    def _ready(self, name: str) -> bool:
        status = read_beat(self._folder, name)
        return bool(status.get("ready")) and time.time() - status.get("at", 0) < STALE_SECONDS


def _server(listen: Address, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    try:
        return ThreadingHTTPServer((listen.host, listen.port), handler)
    except OSError as error:
        kind = AddressTaken if error.errno == errno.EADDRINUSE else OSError
        raise kind(
            f"metrics.listen: {listen.host}:{listen.port} cannot be listened on ({error.strerror}). "
            'End whatever has it, or name another address, or "none".'
        ) from None


class Merged(Collector):
    """The metrics of all processes, each sample with the process it is of."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterator[Metric]:
        merged: dict[str, Metric] = {}
        for path in sorted(self._folder.glob("*.prom")):
            for family in text_string_to_metric_families(path.read_text()):
                mine = merged.setdefault(family.name, Metric(family.name, family.documentation, family.type))
                for sample in family.samples:
                    labels = {**sample.labels, "process": path.stem}
                    mine.add_sample(sample.name, labels, sample.value, sample.timestamp)
        yield from merged.values()
        yield from self._from_beats()

    def describe(self) -> Iterable[Metric]:
        return ()

    def _from_beats(self) -> Iterator[Metric]:
        beats = [read_beat(self._folder, path.stem) for path in sorted(self._folder.glob("worker-*.json"))]
        parked = GaugeMetricFamily("impuls_parked", "Customers at a wait", labels=["flow", "wait"])
        lag = GaugeMetricFamily("impuls_source_lag_records", "Records not taken in", labels=["topic", "partition"])
        counts: dict[str, int] = {}
        ends: dict[str, int] = {}
        read: dict[str, int] = {}
        for beat in beats:
            for place, count in beat.get("parked", {}).items():
                counts[place] = counts.get(place, 0) + count
            ends |= beat.get("ends", {})
            for name, offset in beat.get("watermarks", {}).items():
                read[name] = min(offset, read.get(name, offset))
        for place, count in counts.items():
            parked.add_metric(place.split("/", 1), count)
        for name, end in ends.items():
            lag.add_metric(name.rsplit("/", 1), max(0, end - read.get(name, 0)))
        yield parked
        yield lag
        yield from _experiments(beats)
        for name, key, text in _SUMS:
            yield GaugeMetricFamily(name, text, value=sum(beat.get(key, 0) for beat in beats))
        for name, key, text in _WORST:
            yield GaugeMetricFamily(name, text, value=max((beat.get(key, 0.0) for beat in beats), default=0.0))


def _experiments(beats: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    customers = GaugeMetricFamily(
        "impuls_experiment_customers", "Customers who got this arm", labels=["experiment", "arm"]
    )
    ratio = GaugeMetricFamily(
        "impuls_sample_ratio_p_value", "Below 0.001: the arms have not the shares they should", labels=["experiment"]
    )
    for name, numbers in balance.judged(beat.get("experiments", {}) for beat in beats).items():
        ratio.add_metric([name], numbers["p_value"])
        for arm, count in numbers["customers"].items():
            customers.add_metric([name, arm], count)
    yield customers
    yield ratio


_SUMS = (
    ("impuls_timers", "timers", "Customers who are to be looked at again"),
    ("impuls_outbox_messages", "outbox", "Rows of the outboxes that the log has not acknowledged"),
)
_WORST = (
    ("impuls_outbox_oldest_age_seconds", "outbox_oldest_age_seconds", "How long the oldest row has waited"),
    ("impuls_source_last_fetch_age_seconds", "last_fetch_age_seconds", "How long ago the sources last answered"),
)


def read_beat(folder: Path, name: str) -> dict[str, Any]:
    try:
        status: dict[str, Any] = json.loads((folder / f"{name}.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return status
