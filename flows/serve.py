"""The HTTP doors as a process of their own."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from starlette.routing import Route

from config.combinations import is_this_machine
from config.settings import Settings
from config.values import Address
from connectors import recommendations
from connectors.tokens import Tokens
from connectors.unsubscribe import app
from flows import worker_doors as doors
from flows.serve_recommendations import Recommending
from flows.worker_process import METRICS_BEATS, Beat, prepare, settings_for, told_by_supervisor
from state.ids import Ids
from state.secret import load_or_make

BACKLOG = 2048
BEAT_SECONDS = 1.0

log = logging.getLogger("impuls.serve")


def serve(settings: Settings) -> None:
    """Serve until told to stop."""
    listen = settings.http.listen
    assert listen is not None
    with listening_on(listen) as door, closing(doors.open_writer(settings)) as writer, _beating(settings):
        inputs = doors.input_topics(settings)
        topic = "engagement" if "engagement" in inputs else inputs[-1]
        secret = load_or_make(settings.secret_file, settings.data_dir)
        with _recommending(settings, Ids(secret)) as more:
            application = app(Tokens(secret), writer, topic=topic, more=more)
            log.info("listening", extra={"host": listen.host, "port": listen.port})
            chosen = uvicorn.Config(application, log_config=None, access_log=False, server_header=False)
            uvicorn.Server(chosen).run([door])


def listening_on(listen: Address) -> socket.socket:
    """Raises `OSError` with the way out where the address cannot be had."""
    family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
    try:
        door = socket.create_server((listen.host, listen.port), family=family, backlog=BACKLOG)
        # Whom it lets in has it from here.  Or a body waits until the client has said that it has the headers: 40 ms.
        door.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return door
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise OSError(
            f"http.listen: {listen.host}:{listen.port} cannot be listened on ({why}). "
            "End whatever has it, or name another address."
        ) from None


@contextmanager
def _beating(settings: Settings) -> Iterator[None]:
    """Meanwhile this process tells that it lives, and its metrics."""
    beat, ended = Beat(settings.data_dir, "serve"), threading.Event()

    def tell() -> None:
        for number in count():
            beat.tell({}, metrics=number % METRICS_BEATS == 0)
            if ended.wait(BEAT_SECONDS):
                return

    telling = threading.Thread(target=tell, name="beat", daemon=True)
    telling.start()
    try:
        yield
    finally:
        ended.set()
        telling.join()
        beat.tell({})


@contextmanager
def _recommending(settings: Settings, ids: Ids) -> Iterator[list[Route]]:
    """The routes that recommend, over stores that one thread reads."""
    if not settings.recommender.enabled or settings.http.listen is None:
        yield []
        return
    with TemporaryDirectory(prefix="impuls-serve-") as scratch, ThreadPoolExecutor(1, "recommend") as executor:
        recommending = Recommending(settings, ids, Path(scratch))
        for shard in range(settings.shards):
            executor.submit(recommending.prepare, shard)
        local = is_this_machine(settings.http.listen.host)
        yield recommendations.routes(recommending, executor, read_key=settings.http.read_key, local=local)
        executor.submit(recommending.close).result()


def main() -> None:
    """`python -m flows.serve {"config": …}`: the supervisor's way to start it."""
    told = told_by_supervisor()
    # uvicorn drains at SIGTERM and then raises the signal again, for whoever had it before.
    prepare("serve", on_stop=lambda: None)
    serve(settings_for(told["config"]))


if __name__ == "__main__":
    main()
