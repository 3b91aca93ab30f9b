"""The HTTP doors as a process of their own."""

from __future__ import annotations

import logging

import uvicorn

from config.settings import Settings
from connectors.tokens import Tokens
from connectors.unsubscribe import app
from flows import worker_doors as doors
from flows.worker_process import prepare, settings_for, told_by_supervisor
from state.secret import load_or_make

log = logging.getLogger("impuls.serve")


def serve(settings: Settings) -> None:
    """Serve until told to stop."""
    assert settings.http.listen is not None
    writer = doors.open_writer(settings)
    inputs = doors.input_topics(settings)
    topic = "engagement" if "engagement" in inputs else inputs[-1]
    application = app(Tokens(load_or_make(settings.secret_file)), writer, topic=topic)
    listen = settings.http.listen
    log.info("listening", extra={"host": listen.host, "port": listen.port})
    uvicorn.run(application, host=listen.host, port=listen.port, log_config=None, access_log=False, server_header=False)
    writer.close()


def main() -> None:
    """`python -m flows.serve {"config": …}`: the supervisor's way to start it."""
    told = told_by_supervisor()
    # uvicorn drains at SIGTERM and then raises the signal again, for whoever had it before.
    prepare("serve", on_stop=lambda: None)
    serve(settings_for(told["config"]))


if __name__ == "__main__":
    main()
