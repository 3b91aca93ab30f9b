"""Whom a web address may lead to: connections go only to addresses that anybody on the internet could reach.

A name is looked up once, every address it stands for is judged in every form in which it may hide another, and the
connection goes to an address that was judged; TLS still asks for the name.  So neither a name that points inside, nor
one that changes between the look and the call, nor a number in odd notation reaches what is ours alone.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import quote, urlsplit

import httpcore
import idna

from connectors.http import Forbidden

Network = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

URL_CHARS_MAX = 2048
LOOKUPS_MAX = 16  # at a time; each has a thread
ADDRESSES_MAX = 4  # of one name that are tried
_INSIDE_V4 = [
    IPv4Network(each)
    for each in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
]
# Of IPv6 only what is unicast all over the world, without what stands for IPv4, tunnels and examples.
_UNICAST = IPv6Network("2000::/3")
_INSIDE_V6 = [IPv6Network(each) for each in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")]
_NAT64 = IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)
_UNFIT = re.compile(r"[\x00-\x20\x7f-\xa0\\<>\"^`{|}\u2028\u2029\ud800-\udfff]")
_NUMBER = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)")


class BadUrl(ValueError):
    """No web address to call.  The address itself is not in the text."""


def is_public(address: str) -> bool:
    """Whether anybody on the internet could reach it, whatever other address it may stand for."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        inner = found.ipv4_mapped or (IPv4Address(int(found) & 0xFFFFFFFF) if found in _NAT64 else None)
        if inner is None:
            isatap = int(found) >> 32 & 0xFFFFFFFF in _ISATAP
            inside = any(found in each for each in _INSIDE_V6)
            return found.scope_id is None and found in _UNICAST and not inside and not isatap
        found = inner
    return not any(found in each for each in _INSIDE_V4)


class PublicNetwork(httpcore.AsyncNetworkBackend):
    """Connects to public addresses, and to those in `but_for`.  `resolve` finds the addresses of a name."""

    def __init__(self, but_for: Iterable[Network] = (), resolve: Resolve | None = None) -> None:
        self._but_for = tuple(but_for)
        self._resolve = resolve or _Lookups()
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Raises `Forbidden` where one of the name's addresses may not be reached: it would be asked for next time."""
        try:
            found = await self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError("no_such_host") from error
        if not all(map(self._permits, found)):
            raise Forbidden("private_address")
        failed: Exception = httpcore.ConnectError("no_such_host")
        for address in found[:ADDRESSES_MAX]:
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def _permits(self, address: str) -> bool:
        return is_public(address) or ("%" not in address and any(ip_address(address) in each for each in self._but_for))


class _Lookups:
    """Names are looked up in threads of their own, so that a slow name server holds up nobody else's."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUPS_MAX, "lookup")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        look = asyncio.get_running_loop().run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
        return list(dict.fromkeys(str(entry[4][0]) for entry in await look))


def target(url: str, *, https_only: bool = True) -> tuple[str, str]:
    """A web address as it is called, and its origin.  Raises `BadUrl`.

    What is returned is put together from the parts that were judged, so that no second reader takes it otherwise.
    """
    if len(url) > URL_CHARS_MAX or _UNFIT.search(url):
        raise BadUrl("it is too long, or has a character that cannot stand in one")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise BadUrl("it is none") from None
    if parts.scheme not in (("https",) if https_only else ("https", "http")):
        raise BadUrl("it is not https")
    if "@" in parts.netloc:
        raise BadUrl("it names a user")
    if port == 0:
        raise BadUrl("its port is 0")
    origin = f"{parts.scheme}://{_host(parts.hostname or '')}" + (f":{port}" if port is not None else "")
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    query = f"?{quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" if parts.query else ""
    return f"{origin}{path}{query}", origin


def _host(host: str) -> str:
    if ":" in host:
        try:
            address = IPv6Address(host)
        except ValueError:
            raise BadUrl("its host is no address") from None
        if address.scope_id is not None:
            raise BadUrl("its host is an address of one machine's own")
        return f"[{address}]"
    try:
        name = host if host.isascii() else idna.encode(host, uts46=True).decode()
    except (idna.IDNAError, UnicodeError):
        raise BadUrl("its host is no name") from None
    name = name.lower().removesuffix(".")
    labels = name.split(".")
    if len(name) > 253 or not all(re.fullmatch(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", each) for each in labels):
        raise BadUrl("its host is no name")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(IPv4Address(name))  # 127.1, 0x7f000001 and 017700000001 are read in more than one way
        except ValueError:
            raise BadUrl("its host is a number in a notation that is read in more than one way") from None
    return name


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    return tuple(ip_network(each) for each in texts)
