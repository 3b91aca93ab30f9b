"""The mails of the shipped flows: complete, in both languages, exact about money, and kind to those without a name."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import flows
from config.settings import Smtp
from connectors.email import EmailProvider
from connectors.mail import Composer
from connectors.templates import Rendered, Templates
from connectors.tokens import Tokens
from flows import messages
from flows.catalog import load, template_texts
from operators.program import templates as templates_of
from state.carts import CartChanged, Line
from state.customer import Customer, Traits
from state.events import Event, OrderCompleted, OrderLine
from state.money import Money
from tests.connectors.couriers import message
from tests.connectors.mail_servers import Mailbox, mail_server, settings

FOLDER = Path(flows.__file__ or "").parent / "templates"
TEMPLATES = Templates.load(FOLDER)
CARTS = ("cart_reminder", "cart_reminder_2", "cart_offer", "cart_last_call")
ORDERS = ("order_thanks",)
PRODUCTS = ("browse_reminder", "review_request", "replenish", "back_in_stock", "price_drop")
ALL = (*CARTS, *ORDERS, *PRODUCTS, "welcome", "welcome_picks", "win_back", "win_back_offer", "cross_sell")
LOCALES = ("en-GB", "pl-PL")
HTML_BYTES_MAX = 90_000  # Gmail cuts mails at 102 kB

LINES = (
    Line(
        "p1",
        2,
        0,
        Money(19999, "PLN"),
        "Buty <zimowe>",
        "https://shop.example/p1?a=1&b=2",
        "https://shop.example/p1.jpg",
    ),
    Line("p2", 1, 0, None, "", "", ""),
    Line("p3", 1, 0, Money(500, "JPY"), "Fan", "javascript:alert(1)", "data:image/png;base64,x"),
)


def cart(lines: tuple[Line, ...] = LINES) -> CartChanged:
    return CartChanged(id="e1", customer="c1", at=0, cart_id="k1", lines=lines, currency="PLN")


def order(lines: tuple[Line, ...] = LINES) -> OrderCompleted:
    products = [
        OrderLine(each.product_id, each.quantity, each.price, each.name, url=each.url, image_url=each.image_url)
        for each in lines
    ]
    return OrderCompleted(id="e1", order_id="o1", total=Money(39998, "PLN"), currency="PLN", products=tuple(products))


def customer(first_name: str = "Łucja") -> Customer:
    return Customer(id="c1", traits=Traits(first_name=first_name))


def content(name: str, first_name: str = "Łucja", lines: tuple[Line, ...] = LINES) -> dict[str, Any]:
    given: dict[str, Any] = dict(messages.greeting(Event(id="e1", customer="c1"), customer(first_name)))
    if name in CARTS:
        given |= messages.cart_content(cart(lines), customer(first_name))
    if name in ORDERS:
        given |= messages.order_content(order(lines), customer(first_name))
    if name in PRODUCTS:
        given["products"] = [
            messages.shown(line.product_id, line.name, line.price, line.url, line.image_url) for line in lines
        ]
    if name == "price_drop":
        given |= {"before_minor": 24999, "before_currency": "PLN"}
    ours = {"shop_url": "https://shop.example", "shop_name": "Shop", "unsubscribe_url": "https://shop.example/u/abc"}
    return {"recommended": [], **given, **ours}


@pytest.mark.parametrize(
    ("name", "locale", "title"),
    [
        ("welcome_picks", "en-GB", "Picked for you"),
        ("welcome_picks", "pl-PL", "Wybrane dla Ciebie"),
        ("cross_sell", "en-GB", "Goes with it"),
        ("cross_sell", "pl-PL", "Pasuje do tego"),
    ],
)
def test_recommended_products_are_shown_where_there_are_some(name: str, locale: str, title: str) -> None:
    shown = [messages.shown("p1", "Buty <zimowe>", Money(19999, "PLN"), "https://shop.example/p1", "")]
    with_some = TEMPLATES.render(name, {**content(name), "recommended": shown}, locale)
    without = render(name, locale)
    assert with_some.html is not None
    assert without.html is not None
    assert "Buty <zimowe>" in with_some.text
    assert "Buty &lt;zimowe&gt;" in with_some.html
    for shows, part in [(True, with_some.text), (True, with_some.html), (False, without.text), (False, without.html)]:
        assert (title in part) == shows


def render(name: str, locale: str, first_name: str = "Łucja", lines: tuple[Line, ...] = LINES) -> Rendered:
    return TEMPLATES.render(name, content(name, first_name, lines), locale)


def test_every_mail_a_flow_sends_has_its_template_and_no_template_is_without_a_flow() -> None:
    sent = {each.name for flow in load("flows").program.flows for each in templates_of(flow.steps)}
    assert set(TEMPLATES.names) == sent == set(ALL)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("locale", LOCALES)
def test_every_mail_is_complete_in_every_language(name: str, locale: str) -> None:
    rendered = render(name, locale)
    assert rendered.locale == locale[:2]
    assert rendered.html is not None
    assert len(rendered.html.encode()) < HTML_BYTES_MAX
    for part in (rendered.text, rendered.html):
        assert "https://shop.example/u/abc" in part
        assert "Łucja" in part
        assert "None" not in part
        assert "{{" not in part
        assert "{%" not in part
    assert f'<html lang="{rendered.locale}"' in rendered.html
    Composer("Shop <hello@shop.example>").compose(
        to="a@example.com", rendered=rendered, message_id="m1", date=0, unsubscribe_url="https://shop.example/u/abc"
    )


@pytest.mark.parametrize("name", ALL)
def test_the_languages_differ(name: str) -> None:
    english, polish = render(name, "en-GB"), render(name, "pl-PL")
    assert english.subject != polish.subject
    assert english.text != polish.text
    assert re.search("[ąćęłńóśźż]", polish.text)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("first_name", ["", "https://evil.example"])
def test_without_a_name_the_sentences_still_read_well(name: str, locale: str, first_name: str) -> None:
    rendered = render(name, locale, first_name)
    assert rendered.subject[0].isupper()
    assert rendered.text.startswith(("Hello,\n", "Dzień dobry,\n"))
    assert not re.search(r"(^|\s)[,!?]|\s{2,}", rendered.subject)
    assert "evil" not in rendered.subject + rendered.text + (rendered.html or "")


@pytest.mark.parametrize("name", [*CARTS, *ORDERS])
def test_prices_and_links_are_the_products_own(name: str) -> None:
    text = render(name, "pl-PL").text.replace("\xa0", " ")
    assert "2 × 199,99 zł" in text
    assert "1 × 500 JPY" in text
    assert "Razem: 399,98 zł" in text
    assert "Produkt p2\n  Liczba: 1" in text
    assert "https://shop.example/p1?a=1&b=2" in text
    assert "javascript" not in text


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_are_shown_with_their_own_prices_and_links(name: str) -> None:
    text = render(name, "pl-PL").text.replace("\xa0", " ")
    assert "* Buty <zimowe>\n  199,99 zł\n  https://shop.example/p1?a=1&b=2" in text
    assert "* Produkt p2" in text
    assert "500 JPY" in text
    assert "javascript" not in text


class Links(HTMLParser):
    """Every address in a page, and the images without a text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.without_alt = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [value or "" for key, value in attrs if key in ("href", "src")]
        self.without_alt += tag == "img" and not given.get("alt")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("locale", LOCALES)
def test_in_html_only_web_addresses_are_links_and_every_image_has_a_text(name: str, locale: str) -> None:
    found = Links(render(name, locale).html or "")
    assert found.links
    assert [link for link in found.links if not link.startswith("https://shop.example")] == []
    assert found.without_alt == 0


@pytest.mark.parametrize("name", [*CARTS, *ORDERS, *PRODUCTS])
def test_products_names_are_text_and_not_html(name: str) -> None:
    html = render(name, "pl-PL").html or ""
    assert "<zimowe>" not in html
    assert "Buty &lt;zimowe&gt;" in html


@pytest.mark.parametrize("name", [*CARTS, *ORDERS])
@pytest.mark.parametrize(("locale", "more"), [("en-GB", "and 92 more"), ("pl-PL", "i jeszcze 92")])
def test_a_cart_of_a_hundred_products_is_still_a_mail(name: str, locale: str, more: str) -> None:
    hundred = tuple(
        Line(f"p{n}", 1, 0, Money(100, "PLN"), "n" * 200, *["https://shop.example/p"] * 2) for n in range(100)
    )
    rendered = render(name, locale, lines=hundred)
    assert more in rendered.text
    assert len((rendered.html or "").encode()) < HTML_BYTES_MAX


def test_an_edited_shared_part_is_a_new_version_of_all_that_may_use_it(tmp_path: Path) -> None:
    for name in ("one", "two", "_shared"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "body.txt").write_text("before")
    before = template_texts(tmp_path)
    (tmp_path / "_shared" / "body.txt").write_text("after")
    after = template_texts(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"one", "two"}


def test_a_mail_of_the_shop_goes_out_as_the_mail_program_will_show_it() -> None:
    mailbox = Mailbox()

    async def send(given: Smtp) -> str:
        provider = EmailProvider(given, TEMPLATES, Tokens(b"x" * 32), "https://shop.example/")
        answer = await provider.deliver(
            message(1, content=dict(messages.cart_content(cart(), customer())), locale="pl-PL")
        )
        await provider.close()
        return answer.result

    with mail_server(mailbox) as port:
        assert asyncio.run(send(settings(port))) == "accepted"
    [(recipient, raw)] = mailbox.taken
    mail = email.message_from_bytes(raw, policy=email.policy.default)
    assert recipient == mail["To"] == "c1@example.com"
    assert mail["Subject"] == "Łucja, Twój koszyk czeka"
    assert mail["X-Impuls-Template"] == "cart_reminder"
    link = mail["List-Unsubscribe"].strip("<>")
    token = Tokens(b"x" * 32).open(link.removeprefix("https://shop.example/u/"))
    assert token is not None
    assert (token.customer, token.channel, token.topic, token.message_id) == ("c1", "email", "marketing", "m1")
