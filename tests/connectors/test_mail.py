"""Composed mails, read back by Python's own parser as a mail program would."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.mail import BadAddress, BadHeader, Composer, Mail, address
from connectors.templates import Rendered

ID = "0123456789abcdef" * 2
WHEN = 1_795_514_400.25
LINK = "https://shop.example/u/abc-DEF_123"
RENDERED = Rendered("cart_reminder", "pl", "Łucja, Twój koszyk czeka", "Cześć!\n.\nFrom here\n", "<p>Cześć = hej</p>\n")
SHOP = Composer("Shop <hello@shop.example>")


def compose(
    rendered: Rendered = RENDERED, to: str = "anna@example.com", link: str | None = LINK, message_id: str = ID
) -> Mail:
    return SHOP.compose(to=to, rendered=rendered, message_id=message_id, date=WHEN, unsubscribe_url=link)


def read(mail: Mail) -> EmailMessage:
    return email.message_from_bytes(mail.raw, policy=email.policy.default)


def said(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def lines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n")


def test_a_mail_says_what_was_meant() -> None:
    mail = compose()
    message = read(mail)
    assert (mail.sender, mail.recipient, mail.utf8) == ("hello@shop.example", "anna@example.com", False)
    assert message["From"] == "Shop <hello@shop.example>"
    assert message["To"] == "anna@example.com"
    assert message["Subject"] == RENDERED.subject
    assert message["Date"].datetime.timestamp() == int(WHEN)
    assert message["X-Impuls-Template"] == "cart_reminder"
    assert message["Content-Language"] == "pl"
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert lines(said(message, "plain")) == lines(RENDERED.text)
    assert lines(said(message, "html")) == lines(RENDERED.html or "")
    assert [part.defects for part in message.walk()] == [[], [], []]


def test_the_message_id_is_the_messages_own() -> None:
    assert read(compose())["Message-ID"] == f"<{ID}@shop.example>"


def test_the_same_message_composed_again_is_the_same_mail() -> None:
    assert compose() == compose()


def test_a_marketing_mail_can_be_unsubscribed_from_with_one_click() -> None:
    message = read(compose())
    assert message["List-Unsubscribe"] == f"<{LINK}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"


def test_a_transactional_mail_has_nothing_to_unsubscribe_from() -> None:
    message = read(compose(link=None))
    assert "List-Unsubscribe" not in message
    assert "List-Unsubscribe-Post" not in message


def test_a_mail_without_html_is_plain_text() -> None:
    message = read(compose(RENDERED._replace(html=None)))
    assert message.get_content_type() == "text/plain"
    assert lines(said(message, "plain")) == lines(RENDERED.text)


def test_no_line_is_longer_than_servers_take_and_all_end_alike() -> None:
    long = RENDERED._replace(subject="ż" * 200, text="ł" * 5000 + "\n" + "x" * 5000, html="<p>" + "y" * 9000)
    raw = compose(long).raw
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert raw.endswith(b"\r\n")
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")
    assert raw.isascii()


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=300), st.text(max_size=300))
def test_any_text_arrives_as_it_was(text: str, html: str) -> None:
    message = read(compose(RENDERED._replace(text=text, html=html)))
    assert lines(said(message, "plain")) == lines(text)
    assert lines(said(message, "html")) == lines(html)


@pytest.mark.parametrize(
    "subject",
    [
        "Your cart",
        "Żółć",
        "Ponad 20 % taniej? 🎉",
        "ł" * 150,
        "a=?b",
        "50 = 50?",
        '"quoted"',
        "ą b ć d",
    ],
)
def test_subjects_arrive_as_written(subject: str) -> None:
    assert read(compose(RENDERED._replace(subject=subject)))["Subject"].strip() == subject.strip()


@pytest.mark.parametrize(
    "subject",
    [
        "Cart\r\nBcc: everybody@example.com",
        "Cart\nBcc: everybody@example.com",
        "Cart\rBcc: everybody@example.com",
        "Cart\x00",
        "Cart\x0bBcc: x",
        "Cart\x85Bcc: x",
        "Cart\u2028Bcc: x",
        "Cart\ud800",
        "=?utf-8?q?Cart=0D=0ABcc:_everybody@example.com?=",
        "Żółw =?utf-8?b?DQpCY2M6IHhAeC54?=",
    ],
)
def test_a_subject_cannot_bring_a_header_with_it(subject: str) -> None:
    with pytest.raises(BadHeader):
        compose(RENDERED._replace(subject=subject))


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=80))
def test_whatever_a_subject_is_it_stays_a_subject(subject: str) -> None:
    try:
        message = read(compose(RENDERED._replace(subject=subject)))
    except BadHeader:
        return
    expected = read(compose()).keys()
    assert message.keys() == expected


@pytest.mark.parametrize("link", ["https://x.example/u/a>\r\nBcc: x", "https://x.example/a b", "javascript:1", ""])
def test_a_link_cannot_bring_a_header_with_it(link: str) -> None:
    with pytest.raises(BadHeader):
        compose(link=link)


@pytest.mark.parametrize("message_id", ["", "a b", "a>\r\nBcc: x", "a@b", "ł", "x" * 129])
def test_a_message_id_is_plain(message_id: str) -> None:
    with pytest.raises(BadHeader):
        compose(message_id=message_id)


def test_a_header_line_nobody_takes_is_refused() -> None:
    with pytest.raises(BadHeader):
        compose(link="https://shop.example/u/" + "a" * 1000)


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("anna@example.com", ("anna@example.com", False)),
        ("anna+shop.2@mail.example.com", ("anna+shop.2@mail.example.com", False)),
        ("o'hara@example.com", ("o'hara@example.com", False)),
        ("anna@żółw.example", ("anna@xn--w-uga1v8h.example", False)),
        ("anna@straße.example", ("anna@xn--strae-oqa.example", False)),
        ("łucja@example.com", ("łucja@example.com", True)),
        ("用户@例子.example", ("用户@xn--fsqu00a.example", True)),
    ],
)
def test_addresses_go_over_the_wire_as_servers_read_them(text: str, wire: tuple[str, bool]) -> None:
    assert address(text) == wire


@pytest.mark.parametrize(
    "text",
    [
        "",
        "anna",
        "@example.com",
        "anna@",
        "anna@@example.com",
        "anna@example..com",
        "anna@-example.com",
        "an na@example.com",
        "anna@exam ple.com",
        "anna@example.com\r\nBcc: x@example.com",
        "anna@example.com\n",
        "anna\x00@example.com",
        "anna@example.com, berta@example.com",
        "Anna <anna@example.com>",
        "<anna@example.com>",
        '"anna berta"@example.com',
        ".anna@example.com",
        "anna..b@example.com",
        "=?utf-8?q?anna?=@example.com",
        "anna@[127.0.0.1]",
        "anna\u2028@example.com",
        "anna\ud800@example.com",
        "a" * 65 + "@example.com",
        "anna@" + "a" * 64 + ".example",
        "anna@" + "a.b" * 100 + ".example",
        "anna@\udcff.example",
    ],
)
def test_what_is_no_address_gets_no_mail(text: str) -> None:
    with pytest.raises(BadAddress) as raised:
        compose(to=text)
    assert "anna" not in str(raised.value)


def test_an_address_outside_of_ascii_stands_in_its_header_as_it_is() -> None:
    mail = compose(to="łucja@example.com")
    assert mail.utf8
    assert "\r\nTo: łucja@example.com\r\n".encode() in mail.raw
    raw = email.message_from_bytes(mail.raw, policy=email.policy.SMTPUTF8)
    assert raw["Subject"] == RENDERED.subject


@pytest.mark.parametrize(
    ("sender", "told"),
    [
        ("Shop <hello@shop.example>", "Shop <hello@shop.example>"),
        ("hello@shop.example", "hello@shop.example"),
        ("Żółw <hello@shop.example>", "Żółw <hello@shop.example>"),
        ('"Shop, Ltd." <hello@shop.example>', '"Shop, Ltd." <hello@shop.example>'),
    ],
)
def test_the_sender_is_the_configured_one(sender: str, told: str) -> None:
    mail = Composer(sender).compose(
        to="anna@example.com", rendered=RENDERED, message_id=ID, date=WHEN, unsubscribe_url=None
    )
    assert str(read(mail)["From"]) == told
    assert mail.sender == "hello@shop.example"
