"""The customer's own clock, on the days on which it changes too."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.flow import FRIDAY, MONDAY, at
from operators.guards import Rules, quiet_until
from operators.local_time import next_minute_of_day, to_local
from state.instants import format_instant, parse_instant

WARSAW = "Europe/Warsaw"
HOUR = 3_600_000
ZONES = ["UTC", WARSAW, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia"]


def following(moment: str, hour: int, minute: int = 0, weekday: int | None = None, zone: str = WARSAW) -> str:
    return format_instant(at(hour, minute, weekday=weekday).next_after(parse_instant(moment), zone))[:16]


@pytest.mark.parametrize(
    ("moment", "hour", "minute", "expected"),
    [
        ("2026-01-05T07:59:59Z", 9, 0, "2026-01-05T08:00"),
        ("2026-01-05T08:00:00Z", 9, 0, "2026-01-06T08:00"),  # nine is not after nine
        ("2026-03-28T20:00:00Z", 9, 0, "2026-03-29T07:00"),  # the night is an hour shorter
        ("2026-10-24T20:00:00Z", 9, 0, "2026-10-25T08:00"),  # and an hour longer
        ("2026-03-28T20:00:00Z", 2, 30, "2026-03-29T01:00"),  # there is no half past two: when the gap ends
        ("2026-03-29T01:00:00Z", 2, 30, "2026-03-30T00:30"),
        ("2026-10-24T20:00:00Z", 2, 30, "2026-10-25T00:30"),  # half past two comes twice: the first time
        ("2026-10-25T00:30:00Z", 2, 30, "2026-10-26T01:30"),  # and not the second
        ("2026-10-25T00:45:00Z", 2, 30, "2026-10-26T01:30"),
    ],
)
def test_an_hour_of_the_day_comes_once_a_day_whatever_the_clocks_do(
    moment: str, hour: int, minute: int, expected: str
) -> None:
    assert following(moment, hour, minute) == expected


def test_a_weekday_comes_once_a_week() -> None:
    assert following("2026-01-05T12:00:00Z", 10, weekday=MONDAY) == "2026-01-12T09:00"
    assert following("2026-01-05T12:00:00Z", 10, weekday=FRIDAY) == "2026-01-09T09:00"
    assert following("2026-01-05T08:00:00Z", 10, weekday=MONDAY) == "2026-01-05T09:00"
    # In Auckland it is Tuesday already.
    assert following("2026-01-05T12:00:00Z", 0, 30, weekday=MONDAY, zone="Pacific/Auckland") == "2026-01-11T11:30"


@given(
    moment=st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),
    minute=st.integers(0, 1439),
    zone=st.sampled_from(ZONES),
)
def test_the_next_time_the_clock_shows_an_hour_is_within_two_days_and_shows_it(
    moment: datetime, minute: int, zone: str
) -> None:
    now = round(moment.replace(tzinfo=UTC).timestamp() * 1000)
    found = next_minute_of_day(now, minute, zone)
    assert now < found <= now + 49 * HOUR
    local = to_local(found, zone)
    if (local.hour, local.minute) != divmod(minute, 60):
        # Only where a gap swallowed it: just before, the clock showed an earlier time and jumped over it.
        before = datetime.fromtimestamp(found / 1000 - 1, UTC).astimezone(ZoneInfo(zone))
        assert before.hour * 60 + before.minute < minute < local.hour * 60 + local.minute


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        ("2026-01-05T19:59:59Z", None),
        ("2026-01-05T20:00:00Z", "2026-01-06T07:00"),
        ("2026-01-06T06:59:59Z", "2026-01-06T07:00"),
        ("2026-01-06T07:00:00Z", None),
        ("2026-03-28T23:00:00Z", "2026-03-29T06:00"),  # summer begins in this night
        ("2026-03-29T05:59:59Z", "2026-03-29T06:00"),
        ("2026-10-24T22:00:00Z", "2026-10-25T07:00"),  # and ends in this one
        ("2026-10-25T06:30:00Z", "2026-10-25T07:00"),
    ],
)
def test_nights_are_quiet_until_eight_by_the_customers_clock(moment: str, until: str | None) -> None:
    rules = Rules(quiet_from=21 * 60, quiet_to=8 * 60)
    found = quiet_until(rules, parse_instant(moment), WARSAW)
    assert (format_instant(found)[:16] if found else None) == until


def test_an_hour_of_rest_at_noon_and_none_at_all() -> None:
    noon = Rules(quiet_from=12 * 60, quiet_to=13 * 60)
    assert quiet_until(noon, parse_instant("2026-01-05T11:30:00Z"), WARSAW) == parse_instant("2026-01-05T12:00:00Z")
    assert quiet_until(noon, parse_instant("2026-01-05T12:00:00Z"), WARSAW) is None
    assert quiet_until(Rules(), parse_instant("2026-01-05T02:00:00Z"), WARSAW) is None
    assert quiet_until(Rules(quiet_from=60, quiet_to=60), parse_instant("2026-01-05T00:00:00Z"), WARSAW) is None


@given(
    moment=st.datetimes(datetime(2026, 3, 27), datetime(2026, 3, 31))
    | st.datetimes(datetime(2026, 10, 23), datetime(2026, 10, 27)),
    start=st.integers(0, 47),
    end=st.integers(0, 47),
    zone=st.sampled_from(ZONES),
)
def test_where_quiet_hours_end_it_is_not_quiet(moment: datetime, start: int, end: int, zone: str) -> None:
    rules = Rules(quiet_from=start * 30, quiet_to=end * 30)
    now = round(moment.replace(tzinfo=UTC).timestamp() * 1000)
    until = quiet_until(rules, now, zone)
    if until is not None:
        assert now < until <= now + 26 * HOUR
        local = to_local(until, zone)
        if (local.hour * 60 + local.minute) == end * 30:
            assert quiet_until(rules, until, zone) is None
