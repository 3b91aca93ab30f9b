"""Random bytes that are fetched by the page."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection

import pytest

from state import entropy
from state.entropy import PAGE_BYTES, random_bytes


def test_no_byte_is_given_out_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[bytes] = []

    def fetched(count: int) -> bytes:
        pages.append(bytes([len(pages)]) * count)
        return pages[-1]

    monkeypatch.setattr(os, "urandom", fetched)
    with ThreadPoolExecutor(1) as fresh_thread:
        given = fresh_thread.submit(lambda: [random_bytes(48) for _ in range(200)]).result()
    assert {len(each) for each in given} == {48}
    assert all(len(set(each)) == 1 for each in given), "what is too short is thrown away, not pieced together"
    assert max(given.count(each) for each in set(given)) == PAGE_BYTES // 48


def _say(to: Connection, count: int) -> None:
    to.send(random_bytes(count))


def test_a_process_that_was_forked_has_bytes_of_its_own() -> None:
    random_bytes(8)
    mine = entropy._page.left[:32]
    ours, theirs = get_context("fork").Pipe(duplex=False)
    child = get_context("fork").Process(target=_say, args=(theirs, 32))
    child.start()
    said = ours.recv()
    child.join()
    assert mine
    assert said != mine
    assert random_bytes(32) == mine
