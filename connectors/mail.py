"""Composing a mail: one MIME skeleton, filled in per message, read back before it leaves."""

from __future__ import annotations

import base64
import email.policy
import re
import unicodedata
from dataclasses import dataclass
from email.headerregistry import Address
from email.parser import BytesHeaderParser
from email.utils import formatdate, parseaddr

from connectors.templates import Rendered

_ENCODED = re.compile(r"=\?.*\?=")
_LINE_CHARS_MAX = 60


class BadAddress(ValueError):
    """No mail can be addressed to this."""


class BadHeader(ValueError):
    """What was to go into a header could be read as something else."""


@dataclass(frozen=True)
class Mail:
    sender: str
    recipient: str
    raw: bytes


class Composer:
    """`sender` is the From of all mails."""

    def __init__(self, sender: str) -> None:
        name, self._address = parseaddr(sender)
        self._domain = self._address.rpartition("@")[2]
        self._from = f"{_encoded(name)} <{self._address}>" if name else self._address
        self._parser = BytesHeaderParser(policy=email.policy.SMTP)

    def compose(
        self,
        *,
        to: str,
        rendered: Rendered,
        message_id: str,
        date: float,
        unsubscribe_url: str | None,
        template: str = "",
    ) -> Mail:
        """Raises `BadAddress`, `BadHeader`."""
        recipient = _recipient(to)
        headers = {
            "From": self._from,
            "To": recipient,
            "Subject": _encoded(_clean(rendered.subject)),
            "Date": formatdate(date),
            "Message-ID": f"<{message_id}@{self._domain}>",
        }
        if template:
            headers["X-Impuls-Template"] = template
        if unsubscribe_url is not None:
            headers["List-Unsubscribe"] = f"<{unsubscribe_url}>"
            headers["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
        headers["MIME-Version"] = "1.0"
        boundary = f"=_{message_id}"
        if rendered.html is None:
            headers["Content-Type"] = "text/plain; charset=utf-8"
            headers["Content-Transfer-Encoding"] = "base64"
            body = _base64(rendered.text)
        else:
            headers["Content-Type"] = f'multipart/alternative; boundary="{boundary}"'
            body = "".join(
                f"--{boundary}\r\nContent-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n"
                f"{_base64(text)}\r\n"
                for kind, text in (("text/plain", rendered.text), ("text/html", rendered.html))
            )
            body += f"--{boundary}--\r\n"
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        raw = head.encode() + b"\r\n" + body.encode()
        self._check(raw, headers)
        return Mail(self._address, recipient, raw)

    def _check(self, raw: bytes, headers: dict[str, str]) -> None:
        """What was composed must be read as what was meant: these headers and no others."""
        if [name for name, _ in self._parser.parsebytes(raw).raw_items()] != list(headers):
            raise BadHeader("the mail would be read with other headers than it was given")


def _recipient(to: str) -> str:
    to = to.strip()
    if not to.isprintable() or " " in to or _ENCODED.search(to) or to.count("@") != 1 or len(to) > 320:
        raise BadAddress
    try:
        return Address(addr_spec=to).addr_spec
    except (ValueError, IndexError):
        raise BadAddress from None


def _clean(text: str) -> str:
    plain = "".join(char for char in text if unicodedata.category(char) not in ("Cc", "Cs"))
    if _ENCODED.search(plain):
        raise BadHeader("an encoded word stands in the text of a header")
    return plain


def _encoded(text: str) -> str:
    """An unstructured header's text (RFC 2047), in words short enough for any line."""
    if text.isascii() and len(text) <= _LINE_CHARS_MAX:
        return text
    words, word = [], ""
    for char in text:
        if len((word + char).encode()) > 42:
            words.append(word)
            word = ""
        word += char
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(each.encode()).decode()}?=" for each in (*words, word))


def _base64(text: str) -> str:
    return base64.encodebytes(text.replace("\r\n", "\n").replace("\n", "\r\n").encode()).decode().replace("\n", "\r\n")
