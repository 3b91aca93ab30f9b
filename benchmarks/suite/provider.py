"""A provider that takes calls and never answers: what those notice who are sent mails meanwhile."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.live import Live
from benchmarks.reports.report import Measure
from benchmarks.suite.levels import HALF
from benchmarks.suite.stage import Gathered, Stage, doubts, ratio_of_p99

GOAL = 1.2
_SECRET = "whsec_" + base64.b64encode(b"of the benchmarks, and 32 bytes.").decode()


class Door:
    """Where the webhooks go; it answers until it is told to hang."""

    def __init__(self) -> None:
        self.port = 0
        self.called = 0
        self._answers = threading.Event()
        self._answers.set()

    def hang(self) -> None:
        self._answers.clear()

    def take(self) -> None:
        self.called += 1
        self._answers.wait()


@contextmanager
def open_door() -> Iterator[Door]:
    door = Door()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            door.take()
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    door.port = server.server_port
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield door
    finally:
        server.shutdown()
        server.server_close()


def silent_provider(stage: Stage, saturation: float) -> Gathered:
    """The mails' p99 while the other provider hangs, over what it was while that one answered."""
    rate = HALF * saturation
    stage.tell(f"  {rate:,.0f} events a second, of which every fifth leads to a mail and every sixth to a webhook")
    with open_door() as door:
        setup = replace(stage.setup("provider"), config=_config(stage.folder / "provider.toml", door.port))
        with Live(setup) as live:
            before = stage.times(live, stage.load(rate, "answers"), of="welcome")
            answered = door.called
            door.hang()
            during = stage.times(live, stage.load(rate, "hangs"), settled=False, of="welcome")
    warnings = doubts("provider", [*before, *during])
    if not answered or door.called == answered:
        warnings.append("provider: it was not called, so nothing was measured")
    ratio = ratio_of_p99(during, before)
    stage.tell(f"    the mails' p99 is {ratio:.2f} times what it was while the other provider answered")
    says = "a provider that hangs: the others' p99, over that while it answers"
    return Gathered(
        [Measure(name="silent_provider_p99_ratio", says=says, unit="times", values=[ratio], goal=GOAL)],
        warnings=warnings,
    )


def _config(path: Path, port: int) -> Path:
    path.write_text(
        f"""flows = "benchmarks.hooked_flows"

[webhook]
endpoints = {{ crm = "http://127.0.0.1:{port}/carts" }}
secrets = ["{_SECRET}"]
https_only = false
private_networks = ["127.0.0.0/8"]
"""
    )
    return path
