"""Caps on channels, topics and flows, as a configuration states them."""

from __future__ import annotations

from pathlib import Path

import pytest

from config import ConfigError, Fault, Settings, load, show
from config.values import DAY_MS, Cap


def loaded(folder: Path, text: str, environ: dict[str, str] | None = None) -> Settings:
    file = folder / "shop.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, environ or {})


def test_caps_are_read_in_any_form_toml_has_for_tables(tmp_path: Path) -> None:
    dotted = '[guards.caps]\nchannel.sms = ["1 per day", "3 per 30 days"]\nflow.win_back = "1 per 180 days"\n'
    inline = (
        '[guards]\ncaps = { channel = { sms = ["1 per day", "3 per 30 days"] }, flow = { win_back = "1 per 180d" } }'
    )
    assert loaded(tmp_path, dotted).guards.caps == {
        "channel": {"sms": (Cap(1, DAY_MS), Cap(3, 30 * DAY_MS))},
        "flow": {"win_back": (Cap(1, 180 * DAY_MS),)},
    }
    assert loaded(tmp_path, inline) == loaded(tmp_path, dotted)


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    told = {"IMPULS_GUARDS__CAPS": '{ topic = { "the news" = "2 per 7 days" } }'}
    settings = loaded(tmp_path, '[guards.caps]\nchannel.email = "1 per day"', told)
    assert settings.guards.caps == {"topic": {"the news": (Cap(2, 7 * DAY_MS),)}}
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, '[guards.caps]\nflow.x = "1 per day"', {"IMPULS_GUARDS__CAPS": '{ flow = { x = "many" } }'})
    assert [fault.place for fault in caught.value.faults] == ["IMPULS_GUARDS__CAPS.flow.x"]


def test_what_is_shown_reads_back_as_it(tmp_path: Path) -> None:
    text = '[guards.caps]\nchannel.email = ["1 per day", "4 per 7 days"]\ntopic."the news" = "none"\n'
    text += 'flow.a = "2 per 90 minutes"'
    settings = loaded(tmp_path, text)
    assert loaded(tmp_path, show(settings)) == settings


def test_all_that_is_wrong_with_caps_is_said_at_once(tmp_path: Path) -> None:
    text = """
[guards.caps]
channel.mail = "1 per day"
channel.sms = ["1 per day", "often"]
flows.win_back = "1 per 30 days"
topic = "1 per day"
flow.welcome = "0 per day"
"""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    file = tmp_path / "shop.toml"
    example = 'Something like { channel = { email = "1 per day" }, flow = { win_back = "1 per 30 days" } } will do.'
    assert caught.value.faults == (
        Fault(
            f"{file}:3 guards.caps.channel.mail",
            'is "1 per day", on a channel that is none',
            "There are email, sms, push, webhook. Did you mean email?",
        ),
        Fault(
            f"{file}:4 guards.caps.channel.sms",
            'is "often", which is not "so many per so long"',
            'Something like "4 per 7 days" will do, or "none".',
        ),
        Fault(
            f"{file}:5 guards.caps.flows",
            "is a table, which no cap can be on",
            "There are channel, topic, flow. Did you mean flow?",
        ),
        Fault(f"{file}:6 guards.caps.topic", 'is "1 per day", which is not a table of names and caps', example),
        Fault(
            f"{file}:7 guards.caps.flow.welcome",
            'is "0 per day", which lets no marketing through at all',
            '[send] mode = "mute" does that; here "none" or 1.',
        ),
    )
