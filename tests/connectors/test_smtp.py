"""Handing mails to servers that are well, strict, ill or gone: what each answer means for the message."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from config.settings import Smtp
from connectors.answer import Answer
from connectors.breaker import FAILURES_MAX, CircuitBreaker
from connectors.mail import Mail
from connectors.smtp import SmtpSender
from tests.connectors.mail_servers import (
    Mailbox,
    Script,
    certificate,
    mail_server,
    nobody,
    scripted_server,
    settings,
    talk,
)

MAIL = Mail("hello@shop.example", "anna@example.com", b"Subject: hello\r\n\r\n.dots\r\n..and more\r\nbye\r\n")


def send(given: Smtp, *mails: Mail) -> list[Answer]:
    """Send one after the other over one sender."""

    async def all_of_them() -> list[Answer]:
        sender = SmtpSender(given)
        answers = [await sender.send(mail) for mail in mails]
        await sender.close()
        return answers

    return asyncio.run(all_of_them())


def one(given: Smtp, mail: Mail = MAIL) -> Answer:
    [answer] = send(given, mail)
    return answer


def no_such_user(_: str) -> str:
    return "550 5.1.1 no such user"


# -- a server that is well


def test_a_mail_arrives_as_it_was_written() -> None:
    mailbox = Mailbox()
    with mail_server(mailbox) as port:
        assert one(settings(port)) == Answer("accepted")
    assert mailbox.taken == [(MAIL.recipient, MAIL.raw)]


def test_a_connection_is_used_for_many_mails() -> None:
    mailbox = Mailbox()
    with mail_server(mailbox) as port:
        assert send(settings(port), *[MAIL] * 20) == [Answer("accepted")] * 20
    assert len(mailbox.taken) == 20
    assert mailbox.connections == 1


def test_no_more_connections_are_opened_than_the_pool_holds() -> None:
    mailbox = Mailbox()

    async def many(port: int) -> list[Answer]:
        sender = SmtpSender(settings(port, pool=3))
        answers = await asyncio.gather(*(sender.send(MAIL) for _ in range(50)))
        await sender.close()
        return answers

    with mail_server(mailbox) as port:
        assert asyncio.run(many(port)) == [Answer("accepted")] * 50
    assert len(mailbox.taken) == 50
    assert mailbox.connections <= 3


def test_an_address_that_needs_utf8_is_sent_as_such() -> None:
    mailbox = Mailbox()
    mail = Mail(MAIL.sender, "łucja@example.com", "To: łucja@example.com\r\n\r\nhi\r\n".encode(), utf8=True)
    with mail_server(mailbox) as port:
        assert one(settings(port), mail) == Answer("accepted")
    assert mailbox.taken == [(mail.recipient, mail.raw)]


def test_an_address_that_needs_utf8_is_refused_where_the_server_knows_none() -> None:
    mailbox = Mailbox()
    mail = Mail(MAIL.sender, "łucja@example.com", b"Subject: x\r\n\r\nhi\r\n", utf8=True)
    with mail_server(mailbox, utf8=False) as port:
        answers = send(settings(port), mail, MAIL)
    assert answers == [Answer("refused", "no_smtputf8"), Answer("accepted")]
    assert mailbox.connections == 1


# -- TLS and logins


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_encrypted_and_logged_in(security: str, tmp_path: Path) -> None:
    mailbox, ours = Mailbox(), certificate(tmp_path)
    with mail_server(mailbox, tls=ours.context, from_the_start=security == "tls", login=("shop", "s3cret")) as port:
        given = settings(port, security=security, ca_file=ours.file, username="shop", password="s3cret")
        assert one(given) == Answer("accepted")
    assert mailbox.came_in_by_tls == [True]


def test_a_wrong_password_defers_and_burns_no_mail(tmp_path: Path) -> None:
    mailbox, ours = Mailbox(), certificate(tmp_path)
    with mail_server(mailbox, tls=ours.context, login=("shop", "s3cret")) as port:
        given = settings(port, security="starttls", ca_file=ours.file, username="shop", password="guess")
        answer = one(given)
    assert answer == Answer("deferred", "535 5.7.8")
    assert mailbox.taken == []


def test_a_server_that_offers_no_encryption_gets_neither_password_nor_mail() -> None:
    heard: list[bytes] = []

    async def plain_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mx.shop.example\r\n")
        while line := await reader.readline():
            heard.append(line)
            writer.write(b"250-mx.shop.example\r\n250 AUTH PLAIN LOGIN\r\n" if b"EHLO" in line else b"250 OK\r\n")

    with scripted_server(plain_only) as port:
        answer = one(settings(port, security="starttls", username="shop", password="s3cret"))
    assert answer == Answer("deferred", "no_starttls")
    assert {line.split()[0].upper() for line in heard} <= {b"EHLO", b"QUIT"}


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_that_cannot_prove_who_it_is_gets_no_mail(security: str, tmp_path: Path) -> None:
    mailbox, ours, theirs = Mailbox(), certificate(tmp_path / "ours"), certificate(tmp_path / "theirs")
    with mail_server(mailbox, tls=theirs.context, from_the_start=security == "tls") as port:
        answer = one(settings(port, security=security, ca_file=ours.file))
    assert answer.result == "deferred"
    assert mailbox.taken == []


def test_a_certificate_for_another_host_is_none(tmp_path: Path) -> None:
    mailbox, theirs = Mailbox(), certificate(tmp_path, "127.0.0.2")
    with mail_server(mailbox, tls=theirs.context) as port:
        answer = one(settings(port, security="starttls", ca_file=theirs.file))
    assert answer.result == "deferred"
    assert mailbox.taken == []


# -- a server that refuses


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("550 5.1.1 no such user", Answer("refused", "550 5.1.1", permanent_address=True)),
        ("550 no such user", Answer("refused", "550", permanent_address=True)),
        ("550 5.7.1 blocked by policy", Answer("refused", "550 5.7.1")),
        ("552 5.2.2 mailbox full", Answer("refused", "552 5.2.2")),
        ("550 5.1.10 null MX", Answer("refused", "550 5.1.10", permanent_address=True)),
        ("450 4.2.1 greylisted", Answer("deferred", "450 4.2.1")),
        ("452 4.2.2 mailbox full", Answer("deferred", "452 4.2.2")),
        ("530 5.7.0 log in first", Answer("deferred", "530 5.7.0")),
    ],
)
def test_a_refused_recipient_is_understood(said: str, meant: Answer) -> None:
    mailbox = Mailbox(rcpt=lambda address: said if address == MAIL.recipient else None)
    other = MAIL._replace(recipient="berta@example.com")
    with mail_server(mailbox) as port:
        assert send(settings(port), MAIL, other) == [meant, Answer("accepted")]
    assert mailbox.connections == 1, "a refusal is no reason to hang up"


def test_an_answer_is_told_without_the_address_in_it() -> None:
    mailbox = Mailbox(rcpt=lambda address: f"550 5.1.1 <{address}> is unknown here")
    with mail_server(mailbox) as port:
        assert "anna" not in repr(one(settings(port)))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("451 4.3.0 later", Answer("deferred", "451 4.3.0")),
        ("554 5.7.1 spam", Answer("refused", "554 5.7.1")),
        ("550 5.1.1 not so much the address as the mail", Answer("refused", "550 5.1.1")),
    ],
)
def test_a_refused_mail_does_not_condemn_the_address(said: str, meant: Answer) -> None:
    with mail_server(Mailbox(data=lambda _: said)) as port:
        assert one(settings(port)) == meant


# -- a server that is ill


def hangs_up_at(command: str, answers: dict[str, str] | None = None) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(reader, writer, command, answers)

    return script


def says_at(command: str, answer: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(reader, writer, command)
        writer.write(answer)
        await writer.drain()
        await reader.read()

    return script


def falls_silent_at(command: str) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await talk(reader, writer, command)
        await reader.read()

    return script


@pytest.mark.parametrize("command", ["", "EHLO", "MAIL", "RCPT", "DATA"])
def test_a_server_that_hangs_up_before_it_has_the_mail_has_not_got_it(command: str) -> None:
    with scripted_server(hangs_up_at(command)) as port:
        assert one(settings(port)).result == "deferred"


@pytest.mark.parametrize("command", ["EHLO", "MAIL", "RCPT", "DATA"])
def test_a_server_that_falls_silent_before_it_has_the_mail_has_not_got_it(command: str) -> None:
    with scripted_server(falls_silent_at(command)) as port:
        assert one(settings(port, timeout_seconds=0.2)) == Answer("deferred", "timeout")


def test_after_the_final_dot_nobody_can_tell() -> None:
    with scripted_server(hangs_up_at("DOT")) as port:
        assert one(settings(port)) == Answer("unknown", "SMTPServerDisconnected")
    with scripted_server(falls_silent_at("DOT")) as port:
        assert one(settings(port, timeout_seconds=0.2)) == Answer("unknown", "timeout")
    with scripted_server(says_at("DOT", b"what?\r\n")) as port:
        assert one(settings(port)).result == "unknown"


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA", "DOT"])
def test_a_server_that_closes_down_has_not_got_the_mail(command: str) -> None:
    with scripted_server(says_at(command, b"421 4.3.2 shutting down\r\n")) as port:
        assert one(settings(port)) == Answer("deferred", "421 4.3.2")


@pytest.mark.parametrize("greeting", [b"421 4.7.0 too many\r\n", b"554 5.7.1 not you\r\n", b"HTTP/1.1 400 Bad\r\n"])
def test_a_server_that_does_not_greet_defers(greeting: bytes) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read()

    with scripted_server(script) as port:
        answer = one(settings(port))
    assert answer.result == "deferred"
    assert not answer.permanent_address


def test_nobody_listening_defers() -> None:
    with nobody() as port:
        assert one(settings(port)).result == "deferred"


@pytest.mark.parametrize("answer", [b"421 4.4.2 idle for too long\r\n", b""])
def test_a_connection_the_server_gave_up_is_replaced_unseen(answer: bytes) -> None:
    connections = []

    async def tires_of_the_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(writer)
        if len(connections) > 1:
            await talk(reader, writer, "QUIT")
            return
        await talk(reader, writer, "DOT")
        writer.write(b"250 taken\r\n")
        await reader.readuntil(b"\r\n")  # the next MAIL
        writer.write(answer)

    with scripted_server(tires_of_the_first) as port:
        assert send(settings(port), MAIL, MAIL) == [Answer("accepted")] * 2
    assert len(connections) == 2


# -- a server that is gone for longer


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_while_a_server_is_down_nobody_waits_for_it_and_one_probes_when_it_may_be_back() -> None:
    clock = Clock()
    attempts, up = 0, False

    async def comes_and_goes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal attempts
        attempts += 1
        if up:
            await talk(reader, writer, "QUIT")
        writer.write(b"421 4.3.2 closed\r\n")

    async def story(port: int) -> None:
        nonlocal up
        sender = SmtpSender(settings(port), clock)
        for _ in range(FAILURES_MAX):
            assert (await sender.send(MAIL)).detail.startswith("421")
        before = attempts
        answers = await asyncio.gather(*(sender.send(MAIL) for _ in range(100)))
        assert {answer.detail for answer in answers} == {"circuit_open"}
        assert all(0 < answer.retry_after_seconds <= 1 for answer in answers)
        assert attempts == before
        clock.now += 1.1
        answers = await asyncio.gather(*(sender.send(MAIL) for _ in range(20)))
        assert attempts == before + 1, "one probes for all"
        assert [answer.detail for answer in answers].count("circuit_open") == 19
        clock.now += 2.1
        up = True
        answers = await asyncio.gather(*(sender.send(MAIL) for _ in range(20)))
        assert answers == [Answer("accepted")] * 20
        await sender.close()

    with scripted_server(comes_and_goes) as port:
        asyncio.run(story(port))


def test_that_a_server_is_gone_and_that_it_is_back_is_told_once_each(caplog: pytest.LogCaptureFixture) -> None:
    clock, up = Clock(), False

    async def comes_and_goes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if up:
            await talk(reader, writer, "QUIT")
        writer.write(b"421 4.3.2 closed\r\n")

    async def story(port: int) -> None:
        nonlocal up
        sender = SmtpSender(settings(port), clock)
        for there in (False, False, True, True):
            up = there
            await sender.send(MAIL)
            clock.now += 11
        await sender.close()

    with caplog.at_level("INFO", "impuls.smtp"), scripted_server(comes_and_goes) as port:
        asyncio.run(story(port))
    told = [(record.levelname, record.message) for record in caplog.records]
    assert told == [
        ("WARNING", "the mail server does not answer; mails wait"),
        ("INFO", "the mail server answers again"),
    ]
    assert caplog.records[0].__dict__["port"] == port
    assert caplog.records[0].__dict__["fact"].startswith("421")


def test_a_server_that_refuses_mails_is_not_down() -> None:
    with mail_server(Mailbox(rcpt=no_such_user)) as port:
        answers = send(settings(port), *[MAIL] * (FAILURES_MAX * 3))
    assert {answer.detail for answer in answers} == {"550 5.1.1"}


def test_after_a_pause_the_calls_allowed_at_a_time_double() -> None:
    clock = Clock()

    async def story() -> None:
        circuit = CircuitBreaker(clock, 8)
        for _ in range(FAILURES_MAX):
            assert await circuit.enter() == 0
            circuit.failed()
        assert await circuit.enter() == pytest.approx(1.0)
        clock.now += 1
        for allowed in (1, 3, 7, 8, 8):
            assert [await circuit.enter() for _ in range(allowed)] == [0] * allowed
            one_more = asyncio.create_task(circuit.enter())
            for _ in range(10):
                await asyncio.sleep(0)
            assert not one_more.done()
            for _ in range(allowed):
                circuit.succeeded()
            assert await one_more == 0
            circuit.succeeded()

    asyncio.run(story())
