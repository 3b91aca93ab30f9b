"""A second mail server takes the mails while the first is not there, and only those it certainly has not got."""

from __future__ import annotations

import asyncio
import email
import email.policy
import time
from pathlib import Path

import pytest

from config.settings import Smtp
from connectors.answer import Answer
from connectors.breaker import FAILURES_MAX
from connectors.email import EmailProvider
from tests.connectors.channels import TOKENS, EmailHouse, templates
from tests.connectors.mail_servers import Mailbox, Script, mail_server, nobody, scripted_server, settings, talk

SECONDS_MAX = 20.0


def provider(folder: Path, first: int, second: int) -> EmailProvider:
    ours: Smtp = settings(first, timeout_seconds=1.0)
    backup = settings(second, timeout_seconds=1.0)
    return EmailProvider(ours, templates(folder / "templates"), TOKENS, "https://shop.example", backup=backup)


def deliver(folder: Path, first: int, second: int, count: int = 1) -> list[Answer]:
    async def all_of_them() -> list[Answer]:
        sends = provider(folder, first, second)
        try:
            return [await sends.deliver(EmailHouse(folder).message(number)) for number in range(count)]
        finally:
            await sends.close()

    return asyncio.run(all_of_them())


def test_while_the_first_server_is_not_there_the_second_takes_the_mails(tmp_path: Path) -> None:
    mailbox = Mailbox()
    with nobody() as first, mail_server(mailbox) as second:
        answers = deliver(tmp_path, first, second, FAILURES_MAX + 5)
    assert answers == [Answer("accepted", provider="smtp_backup")] * (FAILURES_MAX + 5)
    sent = [email.message_from_bytes(raw, policy=email.policy.default) for _, raw in mailbox.taken]
    assert [str(each["Message-ID"]) for each in sent] == [f"<m{n}@shop.example>" for n in range(FAILURES_MAX + 5)]


def test_a_server_that_closes_down_or_knows_no_greeting_is_not_there(tmp_path: Path) -> None:
    def says(text: bytes) -> Script:
        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(text)
            await reader.read()

        return script

    for greeting in (b"421 4.3.2 shutting down\r\n", b"HTTP/1.1 400 Bad Request\r\n"):
        mailbox = Mailbox()
        with scripted_server(says(greeting)) as first, mail_server(mailbox) as second:
            assert deliver(tmp_path, first, second) == [Answer("accepted", provider="smtp_backup")]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("450 4.2.1 greylisted", Answer("deferred", "450 4.2.1")),
        ("550 5.1.1 no such user", Answer("refused", "550 5.1.1", permanent_address=True)),
    ],
)
def test_what_the_first_server_says_of_a_mail_stands(tmp_path: Path, said: str, meant: Answer) -> None:
    mailbox, other = Mailbox(rcpt=lambda _: said), Mailbox()
    with mail_server(mailbox) as first, mail_server(other) as second:
        assert deliver(tmp_path, first, second) == [meant]
    assert other.connections == 0


def test_what_the_first_server_may_have_is_not_given_to_the_second(tmp_path: Path) -> None:
    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(reader, writer, "DOT")

    other = Mailbox()
    with scripted_server(hangs_up) as first, mail_server(other) as second:
        [answer] = deliver(tmp_path, first, second)
    assert answer.result == "unknown"
    assert other.connections == 0


def test_with_both_gone_the_mail_waits(tmp_path: Path) -> None:
    with nobody() as first, nobody() as second:
        answers = deliver(tmp_path, first, second, FAILURES_MAX + 1)
    assert {each.result for each in answers} == {"deferred"}
    assert answers[-1].detail == "circuit_open"
    assert 0 < answers[-1].retry_after_seconds <= 1


def test_when_the_first_server_is_back_it_has_the_mails_again(tmp_path: Path) -> None:
    up = False
    taken: list[bytes] = []

    async def comes_back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not up:
            writer.write(b"421 4.3.2 closed\r\n")
            return
        taken.append(b"")
        await talk(reader, writer, "QUIT")

    async def story(sends: EmailProvider) -> None:
        nonlocal up
        message = EmailHouse(tmp_path).message
        for number in range(FAILURES_MAX):
            assert (await sends.deliver(message(number))).provider == "smtp_backup"
        up, began = True, time.monotonic()
        while (await sends.deliver(message(9))).provider:
            assert time.monotonic() - began < SECONDS_MAX
            await asyncio.sleep(0.05)
        await sends.close()

    with scripted_server(comes_back) as first, mail_server(Mailbox()) as second:
        asyncio.run(story(provider(tmp_path, first, second)))
    assert len(taken) == 1
