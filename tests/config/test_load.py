"""What a deployment writes down, and what Impuls makes of it."""

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from config import ConfigError, Settings, load
from config.values import Address, Cap, Quiet, Stalled

MINUTE_MS = 60_000
DAY_MS = 86_400_000


def written(folder: Path, text: str) -> Path:
    file = folder / "impuls.toml"
    file.write_text(text, encoding="utf-8")
    return file


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_nothing_written_is_the_embedded_demo() -> None:
    settings = load(None, {})
    assert settings == Settings()
    assert settings.data_dir == Path(".local/impuls")
    assert (settings.source, settings.clock, settings.shards) == ("log", "live", 64)
    assert settings.stalled == Stalled("hold")
    assert settings.guards.cap == Cap(4, 7 * DAY_MS)
    assert settings.guards.quiet == Quiet(21 * 60, 8 * 60)
    assert settings.guards.min_gap_ms == 0
    assert settings.kafka.security == {"protocol": "PLAINTEXT"}
    assert settings.kafka.topics == ("clickstream", "orders", "catalogue", "engagement")
    assert settings.http.listen == Address("127.0.0.1", 8000)


def test_settings_cannot_be_changed_later() -> None:
    with pytest.raises(FrozenInstanceError):
        Settings().shards = 8  # type: ignore[misc]


def test_a_file_says_how_this_deployment_differs(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        source = "kafka"
        on_stalled = "release after 10 minutes"
        start.at = 2026-11-23T10:00:00Z
        [guards]
        marketing_cap = "none"
        quiet_hours = "none"
        min_gap = "20 minutes"
        holdout_percent = 2.5
        [smtp]
        sender = "Sklep Żółty <hello@shop.example>"
        timeout_seconds = 5
        [kafka.security]
        protocol = "SSL"
        ssl_check_hostname = false
        [metrics]
        listen = "none"
        """,
    )
    settings = load(file, {})
    assert settings.source == "kafka"
    assert settings.stalled == Stalled("release", 10 * MINUTE_MS)
    assert settings.start.at == 1_795_428_000_000
    assert settings.guards.cap is None
    assert settings.guards.quiet is None
    assert settings.guards.min_gap_ms == 20 * MINUTE_MS
    assert settings.guards.holdout_percent == 2.5
    assert settings.smtp.sender == "Sklep Żółty <hello@shop.example>"
    assert settings.smtp.timeout_seconds == 5.0
    assert settings.kafka.security == {"protocol": "SSL", "ssl_check_hostname": False}
    assert settings.metrics.listen is None


def test_the_environment_wins_over_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, 'currency = "EUR"\n[smtp]\nhost = "mail.shop.example"\nport = 25\n')
    environ = {
        "IMPULS_SMTP__PORT": "587",
        "IMPULS_SEND__ALLOW": "anna@shop.example, jan@shop.example",
        "IMPULS_KAFKA__TOPICS": '["clicks"]',
        "IMPULS_GUARDS__QUIET_HOURS": "22:30-7:00",
        "IMPULS_SHARDS": "8",
        "PATH": "/usr/bin",
    }
    settings = load(file, environ)
    assert (settings.smtp.host, settings.smtp.port, settings.currency) == ("mail.shop.example", 587, "EUR")
    assert settings.send.allow == ("anna@shop.example", "jan@shop.example")
    assert settings.kafka.topics == ("clicks",)
    assert settings.guards.quiet == Quiet(22 * 60 + 30, 7 * 60)
    assert settings.shards == 8


def test_the_file_is_the_given_one_then_that_of_the_environment_then_the_folders(tmp_path: Path) -> None:
    written(tmp_path, "shards = 1")
    other = tmp_path / "other.toml"
    other.write_text("shards = 2", encoding="utf-8")
    given = tmp_path / "given.toml"
    given.write_text("shards = 3", encoding="utf-8")
    assert load(None, {}).shards == 1
    assert load(None, {"IMPULS_CONFIG": str(other)}).shards == 2
    assert load(given, {"IMPULS_CONFIG": str(other)}).shards == 3


def test_a_password_can_lie_in_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("tall gołąb\n", encoding="utf-8")
    environ = {"IMPULS_SMTP__USERNAME": "shop", "IMPULS_SMTP__PASSWORD_FILE": str(tmp_path / "password")}
    assert load(None, environ).smtp.password == "tall gołąb"


def test_a_password_that_looks_like_a_number_stays_text() -> None:
    settings = load(None, {"IMPULS_SMTP__USERNAME": "shop", "IMPULS_SMTP__PASSWORD": "0123"})
    assert settings.smtp.password == "0123"


def test_kafkas_secrets_join_what_the_file_says(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        '[kafka]\nsecurity = { protocol = "SASL_SSL", sasl_mechanism = "SCRAM-SHA-512", sasl_username = "impuls" }\n',
    )
    (tmp_path / "sasl").write_text("hush", encoding="utf-8")
    environ = {
        "IMPULS_KAFKA__SECURITY__SASL_PASSWORD_FILE": str(tmp_path / "sasl"),
        "IMPULS_KAFKA__SECURITY__SSL_CHECK_HOSTNAME": "false",
    }
    assert load(file, environ).kafka.security == {
        "protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_username": "impuls",
        "sasl_password": "hush",
        "ssl_check_hostname": False,
    }


def test_where_tests_find_their_data_is_not_a_setting() -> None:
    assert load(None, {"IMPULS_DATA": "/data"}) == Settings()


def test_a_missing_file_is_a_fault_and_the_environment_is_still_judged(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path / "gone.toml", {"IMPULS_SHARDS": "-1"})
    assert [fault.place for fault in caught.value.faults] == [str(tmp_path / "gone.toml"), "IMPULS_SHARDS"]
