"""Settings about time: limits per period, hours of the day, zones, where to begin."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Literal
from zoneinfo import ZoneInfo, available_timezones

from config.faults import Unfit
from config.kinds import Kind, as_text
from config.values import Cap, Quiet, Stalled, duration_ms, duration_text

Start = Literal["earliest", "latest"] | int

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CLOCK_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def time_zone() -> Kind[str]:
    def read(value: object) -> str:
        try:
            return ZoneInfo(str(value)).key if value else _no_zone(value)
        except (ValueError, LookupError, OSError):
            return _no_zone(value)

    return Kind(read, str)


def cap() -> Kind[Cap | None]:
    def read(value: object) -> Cap | None:
        way_out = 'Something like "4 per 7 days" will do, or "none".'
        if value == "none":
            return None
        match = re.fullmatch(r"\s*(\d{1,6})\s+per\s+(.+)", as_text(value, way_out), re.IGNORECASE)
        if not match:
            raise Unfit('which is not "so many per so long"', way_out)
        period = match[2] if match[2][0].isdigit() else f"1 {match[2]}"
        if not (count := int(match[1])):
            raise Unfit("which lets no marketing through at all", '[send] mode = "mute" does that; here "none" or 1.')
        return Cap(count, _duration(period, way_out))

    return Kind(read, lambda value: str(value) if value else "none")


def quiet() -> Kind[Quiet | None]:
    def read(value: object) -> Quiet | None:
        way_out = 'Something like "21:00-08:00" will do, or "none".'
        if value == "none":
            return None
        ends = re.split(r"\s*[-–]\s*", as_text(value, way_out).strip())
        times = [_CLOCK_TIME.fullmatch(end) for end in ends]
        if len(times) != 2 or None in times:
            raise Unfit("which is not two times of day with a dash between", way_out)
        start, end = (int(match[1]) * 60 + int(match[2]) for match in times if match)
        if start == end:
            raise Unfit("which begins and ends at the same time", way_out)
        return Quiet(start, end)

    return Kind(read, lambda value: str(value) if value else "none")


def gap() -> Kind[int]:
    """Milliseconds; 0 for none."""

    def read(value: object) -> int:
        way_out = 'Something like "20 minutes" will do, or "none".'
        return 0 if value == "none" else _duration(as_text(value, way_out), way_out)

    return Kind(read, lambda value: duration_text(value) if value else "none")


def stalled() -> Kind[Stalled]:
    def read(value: object) -> Stalled:
        way_out = '"hold" will do, or something like "release after 10 minutes".'
        if value == "hold":
            return Stalled("hold")
        match = re.fullmatch(r"\s*release\s+after\s+(.+)", as_text(value, way_out), re.IGNORECASE)
        if not match:
            raise Unfit("which is neither of the two", way_out)
        return Stalled("release", _duration(match[1], way_out))

    return Kind(read, str)


def start() -> Kind[Start]:
    """`earliest`, `latest`, or milliseconds since 1970 UTC, written as a time with its offset."""

    def read(value: object) -> Start:
        way_out = '"earliest", "latest" or a time like "2026-11-23T10:00:00Z" will do.'
        if value == "earliest" or value == "latest":
            return "earliest" if value == "earliest" else "latest"
        try:
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(as_text(value, way_out))
        except ValueError as error:
            raise error if isinstance(error, Unfit) else Unfit("which is not a time", way_out) from None
        if moment.tzinfo is None:
            raise Unfit("which does not say in which time zone", way_out)
        if moment < _EPOCH:
            raise Unfit("which is before 1970", way_out)
        return (moment - _EPOCH) // timedelta(milliseconds=1)

    return Kind(read, _write_start)


def _write_start(value: Start) -> str:
    if isinstance(value, str):
        return value
    return (_EPOCH + timedelta(milliseconds=value)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _duration(value: str, way_out: str) -> int:
    try:
        return duration_ms(value)
    except Unfit as unfit:
        raise Unfit(unfit.fact, way_out) from None


def _no_zone(value: object) -> str:
    zones = {zone.lower(): zone for zone in available_timezones()}
    near = get_close_matches(str(value).lower().replace(" ", "_"), zones, 1)
    hint = f' Did you mean "{zones[near[0]]}"?' if near else ""
    raise Unfit("which is not a time zone", f'Something like "Europe/Warsaw" will do.{hint}')
