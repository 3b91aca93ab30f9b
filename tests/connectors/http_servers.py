"""HTTP servers for the tests: real ones, that answer, hang up or fall silent as they are told."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SECONDS_MAX = 20.0


class HangUp(Exception):
    """Close the connection without an answer."""


class FallSilent(Exception):
    """Answer nothing until the server is shut down."""


@dataclass(frozen=True)
class Asked:
    """A request as it came in; header names in small letters."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Says:
    """An answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Site:
    """What a server was asked, and how it answers: `does` may raise `HangUp` or `FallSilent`."""

    does: Callable[[Asked], Says] = lambda _: Says()
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    under_way: int = 0
    under_way_max: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def http_server(site: Site, *, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> Iterator[int]:
    """A server in threads of its own; its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            with site.lock:
                site.connections += 1
            super().setup()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            asked = Asked(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            with site.lock:
                site.asked.append(asked)
                site.under_way += 1
                site.under_way_max = max(site.under_way_max, site.under_way)
            try:
                says = site.does(asked)
            except HangUp:
                self.close_connection = True
                return
            except FallSilent:
                site.closing.wait(SECONDS_MAX)
                self.close_connection = True
                return
            finally:
                with site.lock:
                    site.under_way -= 1
            self.send_response(says.status)
            for name, value in says.headers.items():
                self.send_header(name, value)
            if "Content-Length" not in says.headers:
                self.send_header("Content-Length", str(len(says.body)))
            self.end_headers()
            self.wfile.write(says.body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False
        request_queue_size = 128

        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # clients go away in the middle here

    server = Server((address, 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        site.closing.set()
        server.shutdown()
        thread.join(SECONDS_MAX)
        server.server_close()
