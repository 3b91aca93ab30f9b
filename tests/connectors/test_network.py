"""Where a web address may lead: only to what anybody on the internet could reach, however it is written."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path

import httpcore
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http import Forbidden, HttpClient, Request, Unreached
from connectors.network import BadUrl, PublicNetwork, Resolve, is_public, target
from tests.connectors.http_servers import Says, Site, http_server
from tests.connectors.mail_servers import certificate

INSIDE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "192.0.0.8",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:a9fe:a9fe",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::8.8.8.8",
    "2002:7f00:1::",
    "2001:0:7f00:1::",
    "2001:db8::1",
    "3fff::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1%eth0",
    "fec0::1",
    "ff02::1",
    "100::1",
    "5f00::1",
    "2a00:1450::5efe:127.0.0.1",
    "2a00:1450::200:5efe:10.0.0.1",
    "not an address",
    "",
]


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_ours_alone_is_not_public_in_any_form(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2606:4700::1"]
)
def test_what_everybody_reaches_is_public(address: str) -> None:
    assert is_public(address)


@given(st.ip_addresses(v=4))
def test_no_private_address_becomes_public_by_being_written_as_ipv6(address: object) -> None:
    for written in (f"::ffff:{address}", f"64:ff9b::{address}"):
        assert is_public(written) == is_public(str(address))
    assert not is_public(f"::{address}")


# -- addresses as they are written


@pytest.mark.parametrize(
    ("written", "called"),
    [
        ("https://crm.example/hooks", "https://crm.example/hooks"),
        ("https://CRM.Example.:8443/a?b=c d".replace(" ", "+"), "https://crm.example:8443/a?b=c+d"),
        ("https://crm.example", "https://crm.example/"),
        ("https://żółw.example/ż", "https://xn--w-uga1v8h.example/%C5%BC"),
        ("https://[2606:4700:0::1]/", "https://[2606:4700::1]/"),
        ("https://crm.example/a#b", "https://crm.example/a"),
        ("https://crm.example/%2e%2e/", "https://crm.example/%2e%2e/"),
    ],
)
def test_an_address_is_put_together_from_what_was_judged(written: str, called: str) -> None:
    assert target(written)[0] == called


@pytest.mark.parametrize(
    "written",
    [
        "http://crm.example/",
        "ftp://crm.example/",
        "file:///etc/passwd",
        "//crm.example/",
        "crm.example",
        "",
        "https://",
        "https:///path",
        "https://user@crm.example/",
        "https://crm.example@127.0.0.1/",
        "https://crm.example\\@127.0.0.1/",
        "https://crm.example/\r\nX: y",
        "https://crm.exam\tple/",
        "https://crm .example/",
        "https://crm.example:0/",
        "https://crm.example:99999/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://017700000001/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://127.0.0.1.0x/",
        "https://[::1%25lo]/",
        "https://[fe80::1%25eth0]/",
        "https://[::ffff:127.0.0.1/",
        "https://crm..example/",
        "https://-crm.example/",
        f"https://crm.example/{'a' * 3000}",
    ],
)
def test_what_can_be_read_in_two_ways_is_no_address(written: str) -> None:
    with pytest.raises(BadUrl):
        target(written)


def test_full_width_digits_are_the_number_they_look_like() -> None:
    assert target("https://１２７.0.0.1/")[1] == "https://127.0.0.1"


# -- where connections go


def names(*answers: Sequence[str]) -> tuple[Resolve, list[str]]:
    """A name server that gives one answer after the other, and who was asked for."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[str]:
        asked.append(host)
        return answers[min(len(asked), len(answers)) - 1]

    return resolve, asked


def post(url: str, network: PublicNetwork, ca_file: Path | None = None) -> int:
    async def once() -> int:
        client = HttpClient(timeout_seconds=5, ca_file=ca_file, network=network)
        try:
            return (await client.post(Request(url, {}, b"{}"))).status
        finally:
            await client.close()

    return asyncio.run(once())


@pytest.mark.parametrize("address", [each for each in INSIDE if each not in ("not an address", "")])
def test_a_name_that_points_inside_is_not_called(address: str) -> None:
    resolve, _ = names([address])
    with pytest.raises(Forbidden, match="private_address"):
        post("https://crm.example/", PublicNetwork(resolve=resolve))


def test_one_address_inside_among_public_ones_is_enough_to_refuse() -> None:
    resolve, _ = names(["8.8.8.8", "10.0.0.1"])
    with pytest.raises(Forbidden):
        post("https://crm.example/", PublicNetwork(resolve=resolve))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "0.0.0.0", "2130706433", "0x7f.1", "127.1"])
def test_a_server_on_this_machine_is_not_called_by_any_name_the_system_knows(host: str) -> None:
    site = Site()
    with http_server(site) as port, pytest.raises((Forbidden, Unreached)):
        post(f"http://{host}:{port}/", PublicNetwork())
    assert site.connections == 0


def test_the_connection_goes_to_the_address_that_was_judged_and_tls_asks_for_the_name(tmp_path: Path) -> None:
    """The second answer of the name server is never asked for: what was looked at is what is called."""
    ours = certificate(tmp_path, host="crm.example")
    site = Site(lambda _: Says(204, b""))
    with http_server(site, tls=ours.context) as port:
        resolve, asked = names(["127.0.0.1"], ["10.0.0.1"])
        network = PublicNetwork([ip_network("127.0.0.0/8")], resolve)
        assert post(f"https://crm.example:{port}/", network, ours.file) == 204
        assert asked == ["crm.example"]
        assert site.asked[0].headers["host"] == f"crm.example:{port}"
        resolve, _ = names(["127.0.0.1"])
        network = PublicNetwork([ip_network("127.0.0.0/8")], resolve)
        with pytest.raises(Unreached):
            post(f"https://other.example:{port}/", network, ours.file)
    assert len(site.asked) == 1


def test_a_private_network_that_is_allowed_opens_no_other() -> None:
    site = Site()
    with http_server(site) as port:
        assert post(f"http://127.0.0.1:{port}/", PublicNetwork([ip_network("127.0.0.0/8")])) == 200
        with pytest.raises((Forbidden, Unreached)):
            post(f"http://127.0.0.1:{port}/", PublicNetwork([ip_network("10.0.0.0/8")]))


def test_a_name_that_is_not_there_has_not_been_called() -> None:
    async def resolve(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(Unreached, match="ConnectError"):
        post("https://crm.example/", PublicNetwork(resolve=resolve))
    assert issubclass(httpcore.ConnectError, httpcore.NetworkError)
