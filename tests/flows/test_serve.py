"""The HTTP doors as a process of their own."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

from config import load
from config.values import Address
from flows.serve import listening_on, serve
from tests.flows.commands import impuls


def test_an_address_that_somebody_has_is_named_with_the_way_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        settings = load(None, {"IMPULS_DATA_DIR": str(tmp_path), "IMPULS_HTTP__LISTEN": address})
        with caplog.at_level(logging.INFO), pytest.raises(OSError, match="or name another address") as raised:
            serve(settings)
    assert str(raised.value).startswith(f"http.listen: {address} cannot be listened on (Address already in use)")
    assert "listening" not in [record.message for record in caplog.records]


def test_an_answer_does_not_wait_for_the_client_to_acknowledge_its_head() -> None:
    with listening_on(Address("127.0.0.1", 0)) as door, socket.create_connection(door.getsockname()):
        taken, _ = door.accept()
        with taken:
            assert taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_where_there_is_nothing_to_serve_nothing_is_started(tmp_path: Path) -> None:
    ended = impuls("serve", IMPULS_HTTP__LISTEN="none", IMPULS_DATA_DIR=str(tmp_path))
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith('http.listen is "none", so that there is nothing to serve. Name an address')
    assert list(tmp_path.iterdir()) == []
