"""Settings of outgoing webhooks: where they go, what signs them, and which private networks they may reach."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from ipaddress import ip_network

from config.addresses import url
from config.faults import Unfit
from config.kinds import Kind, as_texts

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
SECRET_BYTES = range(24, 65)


def endpoints() -> Kind[Mapping[str, str]]:
    """Web addresses by name.  Unlike other addresses of the configuration they may have a query."""

    def read(value: object) -> Mapping[str, str]:
        way_out = 'Something like { crm = "https://crm.example/hooks" } will do.'
        if not isinstance(value, dict):
            raise Unfit("which is not a table of names and web addresses", way_out)
        for name, address in value.items():
            if not _NAME.fullmatch(name):
                raise Unfit(f'where "{name}" is no name', "Use small letters, digits, - and _, a letter first.")
            try:
                url().read(address.partition("?")[0] if isinstance(address, str) else address)
            except Unfit as unfit:
                raise Unfit(f"where {name} is something {unfit.fact}", way_out) from None
        return dict(value)

    return Kind(read, dict, "toml")


def secrets() -> Kind[tuple[str, ...]]:
    """Keys as Standard Webhooks writes them; the first is the new one where there are two."""

    def read(value: object) -> tuple[str, ...]:
        way_out = 'Something like "whsec_" and what `openssl rand -base64 32` prints will do.'
        found = as_texts(value, way_out)
        for position, each in enumerate(found, 1):
            try:
                size = len(base64.b64decode(each.removeprefix("whsec_"), validate=True))
            except (binascii.Error, ValueError):
                size = 0
            if not each.startswith("whsec_") or size not in SECRET_BYTES:
                raise Unfit(f"where entry {position} is not whsec_ and 24 to 64 bytes in base64", way_out)
        return found

    return Kind(read, list, "list")


def networks() -> Kind[tuple[str, ...]]:
    def read(value: object) -> tuple[str, ...]:
        way_out = 'Something like ["10.20.0.0/16"] will do.'
        found = as_texts(value, way_out)
        for position, each in enumerate(found, 1):
            try:
                ip_network(each)
            except ValueError:
                raise Unfit(f"where entry {position} is no network", way_out) from None
        return found

    return Kind(read, list, "list")
