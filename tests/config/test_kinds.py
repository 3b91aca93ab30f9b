"""What each kind of setting takes, and what it does not."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import addresses, kinds, times
from config.faults import Unfit
from config.load import all_knobs
from config.values import DURATION_MS_MAX, Address, Cap, Quiet, Stalled, duration_ms, duration_text

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("20 minutes", 20 * MINUTE_MS),
        ("1 minute", MINUTE_MS),
        ("30d", 30 * DAY_MS),
        ("7 Days", 7 * DAY_MS),
        ("2 weeks", 14 * DAY_MS),
        ("1 h 30 min", 90 * MINUTE_MS),
        ("36h", 36 * HOUR_MS),
        ("90s", 90_000),
    ],
)
def test_durations_are_written_as_people_write_them(text: str, milliseconds: int) -> None:
    assert duration_ms(text) == milliseconds


@pytest.mark.parametrize(
    "text", ["", "7", "days", "0 minutes", "-1 day", "1.5 hours", "3 moons", "4000 days", "9" * 400 + "d"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(Unfit):
        duration_ms(text)


@given(st.integers(1, DURATION_MS_MAX // 1000))
def test_a_duration_reads_back_as_it_was_written(seconds: int) -> None:
    assert duration_ms(duration_text(seconds * 1000)) == seconds * 1000


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        (times.cap, "4 per 7 days", Cap(4, 7 * DAY_MS)),
        (times.cap, "1 per day", Cap(1, DAY_MS)),
        (times.cap, "none", None),
        (times.quiet, "21:00-08:00", Quiet(1260, 480)),
        (times.quiet, "13:00 – 14:30", Quiet(780, 870)),
        (times.quiet, "none", None),
        (times.gap, "none", 0),
        (times.gap, "20 minutes", 20 * MINUTE_MS),
        (times.stalled, "release after 10 minutes", Stalled("release", 10 * MINUTE_MS)),
        (times.start, "latest", "latest"),
        (times.start, "1970-01-01T01:00:00.250+01:00", 250),
        (times.time_zone, "America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        (addresses.listen, "0.0.0.0:80", Address("0.0.0.0", 80)),
        (addresses.listen, "[::1]:8000", Address("::1", 8000)),
        (addresses.listen, "none", None),
        (addresses.servers, "kafka-1:9092, kafka-2:9092", "kafka-1:9092,kafka-2:9092"),
        (addresses.url, "https://mail.shop.example/impuls/", "https://mail.shop.example/impuls"),
        (addresses.sender, "hello@shop.example", "hello@shop.example"),
        (addresses.sender, '"Shop, Inc." <hello@shop.example>', '"Shop, Inc." <hello@shop.example>'),
    ],
)
def test_what_is_taken(kind: Callable[[], kinds.Kind[Any]], value: object, read: object) -> None:
    assert kind().read(value) == read
    assert kind().read(kind().write(kind().read(value))) == read


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (times.cap, "often"),
        (times.cap, "0 per day"),
        (times.cap, "4 per moon"),
        (times.cap, 4),
        (times.quiet, "21-8"),
        (times.quiet, "21:00-21:00"),
        (times.quiet, "24:00-08:00"),
        (times.quiet, "21:00-08:00-09:00"),
        (times.gap, 20),
        (times.stalled, "release"),
        (times.stalled, "release after ages"),
        (times.start, "yesterday"),
        (times.start, "2026-11-23T10:00:00"),
        (times.start, "1969-11-23T10:00:00Z"),
        (times.time_zone, "europe/warsaw"),
        (times.time_zone, "../etc/passwd"),
        (times.time_zone, ""),
        (times.time_zone, 2),
        (times.time_zone, "Europe"),
        (addresses.listen, "8000"),
        (addresses.listen, "127.0.0.1:0"),
        (addresses.listen, "127.0.0.1:65536"),
        (addresses.listen, "127.0.0:80"),
        (addresses.listen, "::1:8000"),
        (addresses.listen, "127.0.0.1:८०"),
        (addresses.host, "mail shop"),
        (addresses.host, ""),
        (addresses.servers, "kafka-1:9092,"),
        (addresses.url, "shop.example"),
        (addresses.url, "ftp://shop.example"),
        (addresses.url, "https://shop.example/?a=b"),
        (addresses.url, "https://user@shop.example"),
        (addresses.url, "https://shop.example:99999"),
        (addresses.url, "https://[::1"),
        (addresses.sender, "Shop"),
        (addresses.sender, "Shop <hello@shop.example>\r\nBcc: all@shop.example"),
        (addresses.sender, "a@shop.example, b@shop.example"),
        (addresses.sender, "=?utf-8?q?Shop?= <hello@shop.example>"),
        (addresses.people, ["anna"]),
        (addresses.people, [1]),
        (kinds.currency, "pln"),
        (kinds.currency, "PLNX"),
        (kinds.module, "shop/flows"),
        (kinds.path, ""),
        (kinds.path, "a\x00b"),
        (addresses.port, True),
        (addresses.port, 0),
        (addresses.port, 25.0),
    ],
)
def test_what_is_refused(kind: Callable[[], kinds.Kind[Any]], value: object) -> None:
    with pytest.raises(Unfit):
        kind().read(value)


@given(
    st.sampled_from(sorted(all_knobs())),
    st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists),
)
def test_whatever_is_written_is_taken_or_refused_and_nothing_else(name: str, value: object) -> None:
    knob = all_knobs()[name]
    with suppress(Unfit):
        knob.kind.write(knob.kind.read(value))


def test_a_limit_can_be_off() -> None:
    limit = kinds.whole_or_none(64, 1000, 512)
    assert [limit.read(each) for each in ("none", 64, 1000)] == [None, 64, 1000]
    assert [limit.write(each) for each in (None, 64)] == ["none", 64]
    for wrong in (63, "64", True, None, 1.5):
        with pytest.raises(Unfit) as raised:
            limit.read(wrong)
        assert raised.value.way_out == 'Something like 512 will do, or "none".'
