"""The shop's limits, from its configuration to the guards that keep them."""

from __future__ import annotations

from typing import cast

from config.settings import Guards, Send, Settings
from operators.guards import Rules
from operators.limits import Limit, Of


def rules_of(settings: Settings) -> Rules:
    return rules_from(settings.guards, settings.send)


def rules_from(guards: Guards, send: Send) -> Rules:
    return Rules(
        cap=guards.cap.count if guards.cap else None,
        cap_period=guards.cap.period_ms if guards.cap else 0,
        caps=tuple(
            Limit(cap.count, cap.period_ms, cast("Of", part), name)
            for part, named in guards.caps.items()
            for name, several in named.items()
            for cap in several
        ),
        quiet_from=guards.quiet.from_minute if guards.quiet else None,
        quiet_to=guards.quiet.to_minute if guards.quiet else 0,
        time_zone=guards.time_zone,
        min_gap=guards.min_gap_ms,
        holdout_percent=guards.holdout_percent,
        send_mode=send.mode,
        allow=frozenset(send.allow),
    )
