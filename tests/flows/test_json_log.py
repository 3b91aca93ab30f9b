"""What stands in the log, and what would only fill it."""

from __future__ import annotations

import logging

from flows.json_log import LIBRARY_SECONDS, Sparing


def said(sparing: Sparing, name: str, level: int) -> logging.LogRecord | None:
    record = logging.LogRecord(name, level, __file__, 1, "gone", None, None)
    return record if sparing.filter(record) else None


def test_a_library_that_warns_without_end_is_heard_now_and_then() -> None:
    now = [0.0]
    sparing = Sparing(lambda: now[0])
    first = [said(sparing, "kafka.net", logging.ERROR) for _ in range(100)]
    assert [record is not None for record in first] == [True] + [False] * 99
    assert said(sparing, "kafka.cluster", logging.WARNING), "another is heard, too"
    now[0] = LIBRARY_SECONDS
    again = said(sparing, "kafka.net", logging.ERROR)
    assert again is not None
    assert again.__dict__["repeated"] == 99
    now[0] = 2 * LIBRARY_SECONDS
    assert "repeated" not in (said(sparing, "kafka.net", logging.ERROR) or again).__dict__


def test_we_are_always_heard_and_a_library_only_where_it_warns() -> None:
    sparing = Sparing()
    assert all(said(sparing, "impuls.kafka", logging.INFO) for _ in range(100))
    assert all(said(sparing, "kafka.net", logging.CRITICAL) for _ in range(100))
    assert said(sparing, "kafka.net.manager", logging.INFO) is None
