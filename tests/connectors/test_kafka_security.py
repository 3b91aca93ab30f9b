"""TLS and SASL as `kafka.security` states them, on listeners that let nobody else in."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

import pytest

from connectors.kafka.desk import Desk
from connectors.kafka.security import for_kafka_python, for_librdkafka
from state.records import LogError
from tests import brokers
from tests.brokers import Broker
from tests.connectors.contract import append, read_from_the_beginning, values
from tests.connectors.kafkas import CLIENTS, KafkaDoor, new_topic


def tls(broker: Broker) -> dict[str, object]:
    its = broker.certificates
    return {
        "protocol": "SSL",
        "ssl_cafile": str(its.authority),
        "ssl_certfile": str(its.client),
        "ssl_keyfile": str(its.client_key),
        "ssl_password": its.client_password,
    }


def sasl(broker: Broker) -> dict[str, object]:
    return {
        "protocol": "SASL_SSL",
        "ssl_cafile": str(broker.certificates.authority),
        "sasl_mechanism": "PLAIN",
        "sasl_username": brokers.USER,
        "sasl_password": brokers.PASSWORD,
    }


def ask_in_vain(servers: str, security: Mapping[str, object]) -> str:
    with closing(Desk(servers, "g", security)) as desk, pytest.raises(LogError) as raised:
        desk.partitions(["clickstream"], 1.0)
    return str(raised.value)


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_with_a_certificate_reads_and_writes(kafka: Broker, client: str) -> None:
    door = KafkaDoor(kafka.tls_servers, client, tls(kafka))
    topic = new_topic(kafka.servers)
    append(door, topic, [(b"k", b"over TLS")])
    assert values(read_from_the_beginning(door, topic, 1)) == [b"over TLS"]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_with_a_password_reads_and_writes(kafka: Broker, client: str) -> None:
    door = KafkaDoor(kafka.sasl_servers, client, sasl(kafka))
    topic = new_topic(kafka.servers)
    append(door, topic, [(b"k", b"over SASL")])
    assert values(read_from_the_beginning(door, topic, 1)) == [b"over SASL"]


def test_nobody_gets_in_otherwise_and_no_secret_is_told(kafka: Broker) -> None:
    bare = {name: value for name, value in tls(kafka).items() if name in ("protocol", "ssl_cafile")}
    wrong = {**sasl(kafka), "sasl_password": "guessed"}
    stranger = {name: value for name, value in sasl(kafka).items() if name != "ssl_cafile"}
    for servers, security in (
        (kafka.sasl_servers, wrong),
        (kafka.sasl_servers, stranger),
        (kafka.tls_servers, bare),
    ):
        told = ask_in_vain(servers, security)
        assert "kafka.security" in told
        assert servers in told
        assert brokers.PASSWORD not in told
        assert "guessed" not in told


def test_each_setting_has_a_name_in_both_clients() -> None:
    security: dict[str, object] = {
        "protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_username": "u",
        "sasl_password": "p",
        "ssl_cafile": "ca.pem",
        "ssl_certfile": "c.pem",
        "ssl_keyfile": "k.pem",
        "ssl_password": "s",
        "ssl_check_hostname": False,
    }
    assert for_kafka_python(security) == {
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "u",
        "sasl_plain_password": "p",
        "ssl_cafile": "ca.pem",
        "ssl_certfile": "c.pem",
        "ssl_keyfile": "k.pem",
        "ssl_password": "s",
        "ssl_check_hostname": False,
    }
    assert for_librdkafka(security) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "u",
        "sasl.password": "p",
        "ssl.ca.location": "ca.pem",
        "ssl.certificate.location": "c.pem",
        "ssl.key.location": "k.pem",
        "ssl.key.password": "s",
        "ssl.endpoint.identification.algorithm": "none",
    }


@pytest.mark.parametrize("name_in", [for_kafka_python, for_librdkafka])
def test_what_is_empty_is_left_out_and_what_is_unknown_is_an_error(name_in: type) -> None:
    assert name_in({"ssl_cafile": "", "sasl_password": None}) == {}
    with pytest.raises(LogError, match="'ssl_cafle'"):
        name_in({"ssl_cafle": "x"})
