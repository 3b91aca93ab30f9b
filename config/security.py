"""The table `kafka.security`: what the Kafka clients are told about TLS and SASL, passed through as it stands.

The names are those of kafka-python, without the `security_` before `protocol`.
"""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from config.faults import Unfit
from config.kinds import Kind, as_text

Security = Mapping[str, str | bool]
PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
FILES = ("ssl_cafile", "ssl_certfile", "ssl_keyfile")
SECRETS = ("sasl_password", "ssl_password")
NAMES = ("protocol", "sasl_mechanism", "sasl_username", "sasl_password", *FILES, "ssl_password", "ssl_check_hostname")


def security() -> Kind[Security]:
    return Kind(_read, _masked, "toml")


def _read(value: object) -> Security:
    way_out = 'Something like { protocol = "PLAINTEXT" } will do.'
    if not isinstance(value, dict):
        raise Unfit("which is not a table", way_out)
    found = {name: _entry(name, entry) for name, entry in value.items()}
    protocol = found.setdefault("protocol", "PLAINTEXT")
    _fit_together(str(protocol), found)
    return found


def _entry(name: str, value: object) -> str | bool:
    if name not in NAMES:
        near = get_close_matches(name, NAMES, 1)
        raise Unfit(
            f'where "{name}" is not known', f"Did you mean {near[0]}?" if near else f"Known: {', '.join(NAMES)}."
        )
    if name == "ssl_check_hostname":
        if not isinstance(value, bool):
            raise Unfit(f"whose {name} is neither true nor false", "true will do.")
        return value
    try:
        found = as_text(value, "Text in quotes will do.")
    except Unfit as unfit:
        raise Unfit(f"whose {name} is a value {unfit.fact}", unfit.way_out) from None
    choices = {"protocol": PROTOCOLS, "sasl_mechanism": MECHANISMS}.get(name)
    if choices and found not in choices:
        raise Unfit(f"whose {name} is not one of the choices", f"Choose {', '.join(choices)}.")
    if name in FILES and not Path(found).is_file():
        raise Unfit(f"whose {name} names no file", "Name a file that is there, or leave it out.")
    return found


def _fit_together(protocol: str, found: Mapping[str, str | bool]) -> None:
    needed = {"sasl_mechanism", "sasl_username", "sasl_password"}
    if protocol.startswith("SASL") and (missing := needed - {name for name in found if found[name]}):
        secret = " (IMPULS_KAFKA__SECURITY__SASL_PASSWORD will do)" if "sasl_password" in missing else ""
        raise Unfit(f"whose protocol {protocol} needs {', '.join(sorted(missing))}", f"Give what is missing{secret}.")
    for prefix, name in (("sasl_", "SASL"), ("ssl_", "SSL")):
        useless = sorted(each for each in found if each.startswith(prefix))
        if name not in protocol and useless:
            way_out = f"Choose a protocol with {name}, or take them out."
            raise Unfit(f"whose protocol {protocol} has no use for {', '.join(useless)}", way_out)


def _masked(value: Security) -> dict[str, str | bool]:
    return {name: "***" if name in SECRETS else entry for name, entry in value.items()}
