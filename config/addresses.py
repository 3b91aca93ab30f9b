"""Settings that say who and where: hosts, ports, web addresses, topics, mailboxes."""

from __future__ import annotations

import re
from email.headerregistry import Address as Mailbox
from email.utils import getaddresses
from ipaddress import ip_address
from urllib.parse import urlsplit

from config.faults import Unfit
from config.kinds import Kind, as_text, as_texts, whole
from config.values import Address

_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\.?")
_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_MAILBOX = re.compile(r"[^\s@<>,;:\"()\[\]\\]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?")


def url(*, empty: bool = False) -> Kind[str]:
    """An http or https address without query or fragment; its last slash is dropped."""

    def read(value: object) -> str:
        way_out = 'Something like "https://mail.shop.example" will do.'
        found = as_text(value, way_out)
        if empty and not found:
            return ""
        try:
            parts = urlsplit(found)
            port = parts.port
        except ValueError:
            raise Unfit("which is not a web address", way_out) from None
        if parts.scheme not in {"http", "https"} or not parts.hostname or " " in found or port == 0:
            raise Unfit("which is not a web address", way_out)
        if parts.query or parts.fragment or parts.username is not None:
            raise Unfit("which has more than a scheme, a host, a port and a path", way_out)
        return found.rstrip("/")

    return Kind(read, str)


def host(*, empty: bool = False) -> Kind[str]:
    def read(value: object) -> str:
        if empty and value == "":
            return ""
        if not isinstance(value, str) or not _is_host(value):
            raise Unfit("which is not a host", 'Something like "127.0.0.1" or "smtp.shop.example" will do.')
        return value

    return Kind(read, str)


def port() -> Kind[int]:
    return whole(1, 65535, 2525)


def listen() -> Kind[Address | None]:
    def read(value: object) -> Address | None:
        return None if value == "none" else _address(value, 'Something like "127.0.0.1:8000" will do, or "none".')

    return Kind(read, lambda value: str(value) if value else "none")


def servers() -> Kind[str]:
    """One or more `host:port`, with commas between."""

    def read(value: object) -> str:
        way_out = 'Something like "kafka-1:9092,kafka-2:9092" will do.'
        found = as_text(value, way_out).split(",")
        return ",".join(str(_address(each.strip(), way_out)) for each in found)

    return Kind(read, str)


def topics(ours: frozenset[str]) -> Kind[tuple[str, ...]]:
    """Names of topics to read, none twice and none of `ours`, which would feed the engine its own output."""

    def read(value: object) -> tuple[str, ...]:
        way_out = 'Something like ["clickstream", "orders"] will do.'
        found = as_texts(value, way_out)
        if not found:
            raise Unfit("so there is nothing to read events from", way_out)
        for name in found:
            if not _TOPIC.fullmatch(name) or name in {".", ".."}:
                raise Unfit(f'where "{name}" cannot be the name of a topic', way_out)
            if name in ours:
                raise Unfit(f'where "{name}" is a topic that Impuls itself writes', "Take it out.")
        if len(set(found)) < len(found):
            raise Unfit("where a topic stands twice", "Take one out.")
        return found

    return Kind(read, list, "list")


def people() -> Kind[tuple[str, ...]]:
    def read(value: object) -> tuple[str, ...]:
        way_out = 'Something like ["anna@shop.example", "+48600100200"] will do.'
        found = as_texts(value, way_out)
        for position, each in enumerate(found, 1):
            if not _MAILBOX.fullmatch(each) and not _PHONE.fullmatch(each):
                raise Unfit(f"where entry {position} is neither an e-mail address nor a number (+48…)", way_out)
        return found

    return Kind(read, list, "list")


def sender() -> Kind[str]:
    """A mailbox with or without a name. Both parts are kept as they stand; the address must be plain ASCII."""

    def read(value: object) -> str:
        way_out = 'Something like "Shop <hello@shop.example>" will do.'
        found = as_text(value, way_out)
        (name, mailbox), *more = getaddresses([found]) or [("", "")]
        if more or not _MAILBOX.fullmatch(mailbox) or not mailbox.isascii():
            raise Unfit("which is not a sender with one e-mail address", way_out)
        try:
            Mailbox(name, addr_spec=mailbox)
        except (ValueError, IndexError):
            raise Unfit("which is not a sender with one e-mail address", way_out) from None
        if "=?" in name:
            raise Unfit("which has an encoded word in it", "Write the name as it is read; it is encoded when sent.")
        return found

    return Kind(read, str)


def _is_host(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        # Four numbers with dots that are no address are a slip of the pen, not a name.
        return bool(_HOST.fullmatch(value)) and not re.fullmatch(r"[\d.]+", value)
    return True


def _address(value: object, way_out: str) -> Address:
    host, colon, port = as_text(value, way_out).rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not _is_host(bare) or (":" in bare and bare == host):
        raise Unfit("which is not a host and a port", way_out)
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise Unfit("whose port is not between 1 and 65535", way_out)
    return Address(bare, int(port))
