"""TLS and SASL: our few names for them, and what each of the two clients calls the same."""

from __future__ import annotations

from collections.abc import Mapping

from state.records import LogError

_KAFKA_PYTHON = {
    "protocol": "security_protocol",
    "sasl_mechanism": "sasl_mechanism",
    "sasl_username": "sasl_plain_username",
    "sasl_password": "sasl_plain_password",
    "ssl_cafile": "ssl_cafile",
    "ssl_certfile": "ssl_certfile",
    "ssl_keyfile": "ssl_keyfile",
    "ssl_password": "ssl_password",
    "ssl_check_hostname": "ssl_check_hostname",
}
_LIBRDKAFKA = {
    "protocol": "security.protocol",
    "sasl_mechanism": "sasl.mechanism",
    "sasl_username": "sasl.username",
    "sasl_password": "sasl.password",
    "ssl_cafile": "ssl.ca.location",
    "ssl_certfile": "ssl.certificate.location",
    "ssl_keyfile": "ssl.key.location",
    "ssl_password": "ssl.key.password",
}


def for_kafka_python(security: Mapping[str, object]) -> dict[str, object]:
    return {_KAFKA_PYTHON[name]: value for name, value in _known(security).items()}


def for_librdkafka(security: Mapping[str, object]) -> dict[str, object]:
    known = _known(security)
    check = known.pop("ssl_check_hostname", None)
    found: dict[str, object] = {_LIBRDKAFKA[name]: value for name, value in known.items()}
    if check is not None:
        found["ssl.endpoint.identification.algorithm"] = "https" if check else "none"
    return found


def _known(security: Mapping[str, object]) -> dict[str, object]:
    """What was given, empty ones left out: an empty path or password is "none", not a file of that name."""
    for name in security:
        if name not in _KAFKA_PYTHON:
            raise LogError(f"kafka.security has no {name!r}. Known are: {', '.join(_KAFKA_PYTHON)}.")
    return {name: value for name, value in security.items() if value not in ("", None)}
