"""Mails as bytes: the frame of a template's mails is built once, and each mail is filled into it.

Python's `EmailMessage` takes milliseconds to build and write one mail, this a small part of one. What it gives up
is kept in other ways: whatever goes into a header is checked before, and the header block of every finished mail is
read back and compared with what was meant.
"""

from __future__ import annotations

import re
from binascii import b2a_base64, b2a_qp
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.parser import HeaderParser
from email.utils import format_datetime, formataddr, getaddresses
from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple

import idna

from connectors.templates import Rendered

LINE_BYTES_MAX = 998  # RFC 5322
ADDRESS_BYTES_MAX = 254  # RFC 5321: what fits into a path
LOCAL_BYTES_MAX = 64
ENCODED_BYTES_MAX = 42  # of text in one encoded word, so that the word stays below 75 characters
_LOCAL = re.compile(r"[^\s\x00-\x20\x7f-\xa0@<>,;:\"()\[\]\\.]+(\.[^\s\x00-\x20\x7f-\xa0@<>,;:\"()\[\]\\.]+)*")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", re.IGNORECASE)
_ENCODED_WORD = re.compile(r"=\?.*\?=", re.DOTALL)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_ID = re.compile(r"[A-Za-z0-9_-]{1,128}")
_URL = re.compile(r"https?://[!-;=?-~]+")  # printable ASCII, without the angle brackets it stands in
_FOLD = re.compile(r"\r\n(?=[ \t])")


class BadAddress(ValueError):
    """No mail can be sent to this address. The address itself is not in the text."""


class BadHeader(ValueError):
    """A header would say something else than was meant, or cannot say it at all."""


class Mail(NamedTuple):
    """A mail ready to be handed over. `utf8` says that the server must know SMTPUTF8 (RFC 6531)."""

    sender: str
    recipient: str
    raw: bytes
    utf8: bool = False


class _Skeleton(NamedTuple):
    """What all mails of a template and language share."""

    head: tuple[tuple[str, str], ...]
    before_text: bytes
    before_html: bytes
    end: bytes


class Composer:
    """Composes the mails of one sender, written as in the configuration: `Shop <hello@shop.example>`."""

    def __init__(self, sender: str) -> None:
        [(name, mailbox)] = getaddresses([sender])
        if _CONTROL.search(name) or _ENCODED_WORD.search(name):
            raise BadHeader("the sender's name holds a control character or an encoded word")
        self._sender, utf8 = address(mailbox)
        if utf8:
            raise BadAddress("the sender's address has a character outside of ASCII")
        self.sender_name = name or self._sender.rpartition("@")[2]
        self._from = formataddr((name, self._sender))
        self._domain = self._sender.rpartition("@")[2]

    def compose(
        self, *, to: str, rendered: Rendered, message_id: str, date: float, unsubscribe_url: str | None
    ) -> Mail:
        """One mail; `date` is in seconds since 1970. Raises `BadAddress` or `BadHeader`."""
        recipient, utf8 = address(to)
        if not _ID.fullmatch(message_id):
            raise BadHeader("the message id is more than letters, digits, - and _")
        skeleton = _skeleton(rendered.template, rendered.locale, rendered.html is not None)
        headers = [
            ("From", self._from),
            ("To", recipient),
            ("Subject", encoded(rendered.subject)),
            ("Date", _date(int(date))),
            ("Message-ID", f"<{message_id}@{self._domain}>"),
        ]
        if unsubscribe_url is not None:
            if not _URL.fullmatch(unsubscribe_url):
                raise BadHeader("the link to unsubscribe is not a web address")
            headers.append(("List-Unsubscribe", f"<{unsubscribe_url}>"))
            headers.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
        headers += skeleton.head
        head = "".join([f"{name}: {value}\r\n" for name, value in headers]) + "\r\n"
        _check(head, headers, rendered.subject)
        parts = [head.encode(), skeleton.before_text, _quoted_printable(rendered.text)]
        if rendered.html is not None:
            parts += [skeleton.before_html, _base64(rendered.html), skeleton.end]
        return Mail(self._sender, recipient, b"".join(parts), utf8)


def address(text: str) -> tuple[str, bool]:
    """An address as it goes over the wire, and whether that takes SMTPUTF8. Raises `BadAddress`.

    Domains are written in their ASCII form (IDNA 2008); a local part cannot be.
    """
    local, _, domain = text.rpartition("@")
    if not _LOCAL.fullmatch(local) or "=?" in local or _CONTROL.search(local):
        raise BadAddress("the part before the @ is empty or has a character that cannot stand there")
    try:
        if not domain.isascii():
            domain = idna.encode(domain, uts46=True).decode()
        size = len(local.encode())
    except (idna.IDNAError, UnicodeError):
        raise BadAddress("the domain is none") from None
    if not _DOMAIN.fullmatch(domain) or any(len(label) > 63 for label in domain.split(".")):
        raise BadAddress("the domain is none")
    if size > LOCAL_BYTES_MAX or size + 1 + len(domain) > ADDRESS_BYTES_MAX:
        raise BadAddress("it is too long")
    return f"{local}@{domain}", not local.isascii()


def encoded(text: str) -> str:
    """A header's free text, in encoded words (RFC 2047) when it needs them. Raises `BadHeader`."""
    if _CONTROL.search(text) or _ENCODED_WORD.search(text):
        raise BadHeader("a control character or an encoded word in it")
    if text.isascii():
        return text
    words: list[str] = []
    word: list[str] = []
    size = 0
    for character in text:
        length = len(character.encode())
        if size + length > ENCODED_BYTES_MAX:
            words.append("".join(word))
            word, size = [], 0
        word.append(character)
        size += length
    words.append("".join(word))
    return "\r\n ".join(f"=?utf-8?b?{b2a_base64(each.encode(), newline=False).decode()}?=" for each in words)


def _check(head: str, headers: list[tuple[str, str]], subject: str) -> None:
    """Read the header block as a mail program would: it must say what was meant and nothing else."""
    if any(len(line.encode()) > LINE_BYTES_MAX for line in head.split("\r\n")):
        raise BadHeader(f"a header line is longer than {LINE_BYTES_MAX} bytes")
    read = _parser.parsestr(head)
    if read.items() != headers or read.defects or read.get_payload():
        raise BadHeader("read back, the headers are other ones")
    told = _FOLD.sub("", read["Subject"])
    if told != subject and str(make_header(decode_header(told))) != subject:
        raise BadHeader("read back, the subject is another one")


_parser = HeaderParser()


@lru_cache(maxsize=1024)
def _skeleton(template: str, locale: str, has_html: bool) -> _Skeleton:
    # No encoded text can hold this: in quoted-printable, = is followed by two digits or the end of the line.
    boundary = f"=_{blake2b(template.encode(), digest_size=12).hexdigest()}"
    coding = b"\r\nContent-Transfer-Encoding: "
    head = [("X-Impuls-Template", template), ("Content-Language", locale), ("MIME-Version", "1.0")]
    text, html = (f"Content-Type: text/{kind}; charset=utf-8".encode() for kind in ("plain", "html"))
    if not has_html:
        head += [("Content-Type", "text/plain; charset=utf-8"), ("Content-Transfer-Encoding", "quoted-printable")]
        return _Skeleton(tuple(head), b"", b"", b"")
    head.append(("Content-Type", f'multipart/alternative; boundary="{boundary}"'))
    line = f"--{boundary}".encode()
    return _Skeleton(
        tuple(head),
        line + b"\r\n" + text + coding + b"quoted-printable\r\n\r\n",
        b"\r\n" + line + b"\r\n" + html + coding + b"base64\r\n\r\n",
        line + b"--\r\n",
    )


def _quoted_printable(text: str) -> bytes:
    # It ends its own lines as the first line of the text ends, so there must be one.
    lines = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n") + "\n"
    return b2a_qp(lines.replace("\n", "\r\n").encode())


def _base64(text: str) -> bytes:
    # HTML's long lines full of = would take quoted-printable five times as long.
    raw = b2a_base64(text.encode(), newline=False)
    return b"\r\n".join([raw[at : at + 76] for at in range(0, len(raw), 76)]) + b"\r\n"


@lru_cache(maxsize=8)
def _date(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC))
