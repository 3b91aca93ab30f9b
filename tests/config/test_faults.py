"""What somebody reads who wrote a configuration that cannot be used."""

from pathlib import Path

import pytest

from config import ConfigError, Fault, load


def faults(text: str, folder: Path, environ: dict[str, str] | None = None) -> tuple[Fault, ...]:
    file = folder / "shop.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, environ or {})
    return caught.value.faults


def only_fault(text: str, folder: Path, environ: dict[str, str] | None = None) -> Fault:
    found = faults(text, folder, environ)
    assert len(found) == 1, found
    return found[0]


def test_five_faults_are_listed_together_each_with_place_fact_and_way_out(tmp_path: Path) -> None:
    text = """
currency = "zloty"
[guards]
quiet_hours = "21:00"
time_zone = "Europe/Warszawa"
[smtp]
port = "lots"
pasword = "x"
"""
    file = tmp_path / "shop.toml"
    assert faults(text, tmp_path) == (
        Fault(f"{file}:8 smtp.pasword", "is not a setting", "Did you mean password?"),
        Fault(
            f"{file}:2 currency",
            'is "zloty", which is not a currency\'s three letters (ISO 4217)',
            'Something like "PLN" or "EUR" will do.',
        ),
        Fault(
            f"{file}:4 guards.quiet_hours",
            'is "21:00", which is not two times of day with a dash between',
            'Something like "21:00-08:00" will do, or "none".',
        ),
        Fault(
            f"{file}:5 guards.time_zone",
            'is "Europe/Warszawa", which is not a time zone',
            'Something like "Europe/Warsaw" will do. Did you mean "Europe/Warsaw"?',
        ),
        Fault(f"{file}:7 smtp.port", 'is "lots", which is not a whole number', "Something like 2525 will do."),
    )


def test_a_fault_reads_as_two_sentences(tmp_path: Path) -> None:
    fault = only_fault("shards = 0", tmp_path)
    file = tmp_path / "shop.toml"
    assert str(fault) == f"{file}:1 shards is 0, which is not between 1 and 4096. Something like 64 will do."


def test_the_exceptions_own_text_has_one_line_for_each_fault(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text('shards = 0\nclock = "fast"', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"shards[^\n]*\n[^\n]*clock"):
        load(tmp_path / "shop.toml", {})


def test_a_slip_in_the_file_is_found_by_its_line(tmp_path: Path) -> None:
    fault = only_fault('shards = 8\ncurrency = "PLN\n', tmp_path)
    assert fault.place == f"{tmp_path / 'shop.toml'}:2"
    assert fault.fact.startswith("is not TOML: ")


def test_a_file_that_is_not_utf8_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_bytes(b'currency = "\xff"')
    with pytest.raises(ConfigError, match="is not UTF-8 at byte 12"):
        load(tmp_path / "shop.toml", {})


SECRETS = f'secrets = ["whsec_{"A" * 44}"]\n'


@pytest.mark.parametrize(
    ("text", "way_out"),
    [
        ('sourc = "log"', "Did you mean source?"),
        ('quiet_hours = "none"', "Did you mean quiet_hours in [guards]?"),
        ('[smpt]\nhost = "x"', "Did you mean smtp?"),
        ('[guards]\ncurrency = "PLN"', "Did you mean currency, above all sections?"),
        ("[smtp]\nport = 25\n[guards]\nzzz = 1", "Take it out; docs/configuration.md lists what there is."),
    ],
)
def test_an_unknown_setting_gets_the_name_that_was_probably_meant(text: str, way_out: str, tmp_path: Path) -> None:
    assert only_fault(text, tmp_path).way_out == way_out


def test_an_unknown_variable_is_a_fault_too(tmp_path: Path) -> None:
    fault = only_fault("", tmp_path, {"IMPULS_SMPT__HOST": "mail.shop.example"})
    assert fault == Fault("IMPULS_SMPT__HOST", "is not a setting", "Did you mean IMPULS_SMTP__HOST?")


def test_only_secrets_are_read_from_files(tmp_path: Path) -> None:
    assert only_fault("", tmp_path, {"IMPULS_SMTP__HOST_FILE": "x"}).way_out == "Only secrets are read from files."


def test_a_secret_given_twice_is_a_fault(tmp_path: Path) -> None:
    environ = {"IMPULS_SMTP__USERNAME": "u", "IMPULS_SMTP__PASSWORD": "a", "IMPULS_SMTP__PASSWORD_FILE": "b"}
    assert only_fault("", tmp_path, environ).fact == "is set, and IMPULS_SMTP__PASSWORD is too"


def test_a_secrets_file_that_is_missing_is_a_fault(tmp_path: Path) -> None:
    fault = only_fault("", tmp_path, {"IMPULS_SMTP__PASSWORD_FILE": str(tmp_path / "gone")})
    assert fault.fact == "names a file that cannot be read: No such file or directory"


def test_a_setting_where_a_section_belongs_is_told_so(tmp_path: Path) -> None:
    assert only_fault('smtp = "mail.shop.example"', tmp_path).fact == "is not a section"


@pytest.mark.parametrize(
    "text",
    [
        '[smtp]\npassword = ["hush-hush"]',
        '[kafka]\nsecurity = { protocol = "SASL_SSL", sasl_password = "hush-hush" }',
        '[kafka]\nsecurity = { protocol = "SASL_SSL", sasl_pass = "hush-hush" }',
        '[kafka]\nsecurity = { protocol = "PLAINTEXT", sasl_password = "hush-hush" }',
        '[send]\nallow = "hush-hush@shop.example"',
        '[send]\nallow = ["hush-hush"]',
        '[webhook]\nsecrets = ["whsec_hush-hush"]',
        '[webhook]\nsecrets = ["aHVzaCBodXNoIGh1c2ggaHVzaCBodXNoIGh1c2g="]',
        "[sms]\ntoken = { hush = 1 }",
    ],
)
def test_no_fault_quotes_a_secret_or_an_address(text: str, tmp_path: Path) -> None:
    assert "hush" not in str(only_fault(text, tmp_path))


@pytest.mark.parametrize(
    ("text", "setting", "fact"),
    [
        ('[send]\nmode = "only"', "send.mode", "names nobody"),
        ('[smtp]\nusername = "shop"', "smtp.username", "smtp.password is empty"),
        ('[smtp]\npassword = "x"', "smtp.password", "smtp.username is empty"),
        ('[smtp]\nhost = "mail.shop.example"\nusername = "u"\npassword = "x"', "smtp.security", "in the clear"),
        ('[smtp_backup]\nusername = "u"', "smtp_backup.host", "is empty"),
        ('[smtp_backup]\nhost = "localhost"\nusername = "u"', "smtp_backup.username", "password is empty"),
        ('[sms]\nprovider = "twilio"\naccount = "AC0"\ntoken = "x"', "sms.provider", "sms.sender is empty"),
        ('[sms]\nprovider = "json"\nsender = "Shop"', "sms.provider", "sms.url is empty"),
        ('[sms]\nurl = "http://sms.example"', "sms.url", "in the clear"),
        ('[push]\nprovider = "fcm"', "push.provider", "push.service_account_file is empty"),
        ('[push]\nprovider = "json"\nurl = "http://push.example"', "push.url", "in the clear"),
        ('[webhook]\nendpoints = { crm = "https://crm.example" }', "webhook.endpoints", "webhook.secrets is empty"),
        (f'[webhook]\n{SECRETS}endpoints = {{ crm = "http://crm.example" }}', "webhook.endpoints", "crm at an http"),
        ('[webhook]\nendpoints = { crm = "crm.example" }', "webhook.endpoints", "crm is something which is not a web"),
        ('[webhook]\nendpoints = { "the crm" = "https://crm.example" }', "webhook.endpoints", "is no name"),
        ('[webhook]\nprivate_networks = ["10.0.0.1/8"]', "webhook.private_networks", "is no network"),
        ('[webhook]\nhttps_only = "no"', "webhook.https_only", "neither true nor false"),
        ('[http]\nlisten = "0.0.0.0:9464"', "metrics.listen", "where http.listen is already"),
        ('source = "kafka"\n[kafka]\ntopics = []', "kafka.topics", "nothing to read"),
        ('[kafka]\ntopics = ["clicks", "decisions"]', "kafka.topics", "Impuls itself writes"),
        ('[kafka]\nsecurity = { protocol = "SASL_SSL" }', "kafka.security", "needs sasl_mechanism"),
        ("[kafka]\nsecurity = { ssl_check_hostname = false }", "kafka.security", "no use for ssl_check_hostname"),
    ],
)
def test_settings_that_do_not_go_together_are_a_fault(text: str, setting: str, fact: str, tmp_path: Path) -> None:
    fault = only_fault(text, tmp_path)
    assert setting in fault.place
    assert fact in fault.fact


def test_credentials_in_the_clear_are_fine_on_this_machine(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text('[smtp]\nhost = "localhost"\nusername = "u"\npassword = "x"', encoding="utf-8")
    assert load(file, {}).smtp.username == "u"


def test_a_setting_that_is_wrong_itself_is_not_blamed_again_for_its_company(tmp_path: Path) -> None:
    assert (
        "neither an e-mail address nor a number" in only_fault('[send]\nmode = "only"\nallow = ["anna"]', tmp_path).fact
    )
