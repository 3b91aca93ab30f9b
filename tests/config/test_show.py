"""The effective configuration, as an operator sees it."""

import tomllib
from pathlib import Path

from config import Settings, load, show
from config.load import all_knobs
from config.show import toml

DOCS = Path(__file__).parent.parent.parent / "docs" / "configuration.md"


def test_what_is_shown_reads_back_as_the_same_settings(tmp_path: Path) -> None:
    environ = {
        "IMPULS_GUARDS__MARKETING_CAP": "none",
        "IMPULS_GUARDS__MIN_GAP": "90 minutes",
        "IMPULS_ON_STALLED": "release after 1 hour",
        "IMPULS_START__AT": "2026-11-23T10:00:00Z",
        "IMPULS_SMTP__SENDER": '"Sklep \\"Żuk\\"" <hello@shop.example>',
        "IMPULS_METRICS__LISTEN": "none",
        "IMPULS_SEND__ALLOW": "anna@shop.example,+48600100200",
        "IMPULS_WEBHOOK__HTTPS_ONLY": "false",
        "IMPULS_WEBHOOK__PRIVATE_NETWORKS": "10.0.0.0/8,fd00::/8",
        "IMPULS_SMTP_BACKUP__HOST": "mx2.shop.example",
    }
    settings = load(None, environ)
    file = tmp_path / "shown.toml"
    file.write_text(show(settings), encoding="utf-8")
    assert load(file, {}) == settings
    assert settings != Settings()


def test_endpoints_are_shown_as_a_table() -> None:
    addresses = {"crm": "https://crm.shop.example/in?v=1", "erp-2": "https://erp.shop.example"}
    environ = {
        "IMPULS_WEBHOOK__SECRETS": f"whsec_{'A' * 44}",
        "IMPULS_WEBHOOK__ENDPOINTS": "{ " + ", ".join(f'{n} = "{at}"' for n, at in addresses.items()) + " }",
    }
    assert tomllib.loads(show(load(None, environ)))["webhook"]["endpoints"] == addresses


def test_every_setting_is_shown() -> None:
    shown = tomllib.loads(show(Settings()))
    flat = {name for name, value in shown.items() if not isinstance(value, dict)}
    flat |= {f"{section}.{name}" for section, table in shown.items() if isinstance(table, dict) for name in table}
    assert flat == set(all_knobs())


def test_secrets_are_masked() -> None:
    environ = {
        "IMPULS_SMTP__USERNAME": "shop",
        "IMPULS_SMTP__PASSWORD": "hush",
        "IMPULS_SMS__TOKEN": "hush",
        "IMPULS_WEBHOOK__SECRETS": "whsec_aHVzaCBodXNoIGh1c2ggaHVzaCBodXNoIGh1c2ggMTI=",
        "IMPULS_KAFKA__SECURITY__PROTOCOL": "SASL_SSL",
        "IMPULS_KAFKA__SECURITY__SASL_MECHANISM": "PLAIN",
        "IMPULS_KAFKA__SECURITY__SASL_USERNAME": "shop",
        "IMPULS_KAFKA__SECURITY__SASL_PASSWORD": "hush",
        "IMPULS_KAFKA__SECURITY__SSL_PASSWORD": "hush",
    }
    shown = show(load(None, environ))
    assert "hush" not in shown
    assert "aHVz" not in shown
    assert 'password = "***"' in shown
    assert 'sasl_password = "***"' in shown


def test_every_setting_is_documented_with_its_default() -> None:
    rows = DOCS.read_text(encoding="utf-8").splitlines()
    missing = [
        name
        for name, knob in all_knobs().items()
        if not any(
            row.startswith(f"| `{name}` | `{toml(knob.kind.write(knob.kind.read(knob.default)))}` |") for row in rows
        )
    ]
    assert missing == []


def test_no_setting_is_documented_that_is_not_there() -> None:
    rows = DOCS.read_text(encoding="utf-8").splitlines()
    documented = {row.split("`")[1] for row in rows if row.startswith("| `")}
    assert documented == set(all_knobs())
