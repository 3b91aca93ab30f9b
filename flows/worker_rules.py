"""The shop's limits, from its configuration to the guards that keep them."""

from __future__ import annotations

from config.settings import Settings
from operators.guards import Rules


def rules_of(settings: Settings) -> Rules:
    guards, send = settings.guards, settings.send
    return Rules(
        cap=guards.cap.count if guards.cap else None,
        cap_period=guards.cap.period_ms if guards.cap else 0,
        quiet_from=guards.quiet.from_minute if guards.quiet else None,
        quiet_to=guards.quiet.to_minute if guards.quiet else 0,
        time_zone=guards.time_zone,
        min_gap=guards.min_gap_ms,
        holdout_percent=guards.holdout_percent,
        send_mode=send.mode,
        allow=frozenset(send.allow),
    )
