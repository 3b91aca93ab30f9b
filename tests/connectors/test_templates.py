"""Templates: what they may say, whom they speak to in which language, and that none of them can run away."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.sandbox import CHARS_MAX, STEPS_MAX
from connectors.templates import SUBJECT_CHARS_MAX, Rendered, RenderError, TemplateFaults, Templates

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes files below a folder of templates, given as path and text; returns the folder."""

    def files(**_: Any) -> Path:
        return tmp_path

    def put(texts: dict[str, str] | None = None, **own: str) -> Path:
        """`own` are the files of a template called `note`."""
        own = {"subject": "Hello", "text": "Hello", **own}
        names = {"subject": "subject.txt", "text": "body.txt", "html": "body.html", "mjml": "body.mjml"}
        for name, text in {**{f"note/{names[name]}": text for name, text in own.items()}, **(texts or {})}.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return files()

    return put


MJML = "<mjml><mj-body><mj-section><mj-column><mj-text>Hello</mj-text></mj-column></mj-section></mj-body></mjml>"


def render(folder: Path, content: dict[str, Any] | None = None, locale: str = "") -> Rendered:
    return Templates.load(folder).render("note", content or {}, locale)


def faults(folder: Path) -> list[str]:
    with pytest.raises(TemplateFaults) as raised:
        Templates.load(folder)
    return [str(fault) for fault in raised.value.faults]


# -- what is said to whom


def test_a_template_has_a_subject_a_text_and_html(write: Write) -> None:
    rendered = render(write(subject="For {{ x }}", text="Dear {{ x }}", html="<p>{{ x }}</p>"), {"x": "you"})
    assert rendered == Rendered("note", "en", "For you", "Dear you\n", "<p>you</p>")


def test_a_template_without_html_is_a_text(write: Write) -> None:
    assert render(write()).html is None


@pytest.mark.parametrize(
    ("locale", "told", "language"),
    [
        ("pl-PL", "Cześć", "pl"),
        ("pl_PL", "Cześć", "pl"),
        ("pl", "Cześć", "pl"),
        ("pt-BR", "Oi", "pt-BR"),
        ("pt-PT", "Hello", "en"),
        ("de-DE", "Hello", "en"),
        ("", "Hello", "en"),
        ("not a locale at all, and far too long for one", "Hello", "en"),
        ("../../etc", "Hello", "en"),
        ("xx-XX", "Hello", "en"),
    ],
)
def test_customers_are_addressed_in_their_language_or_in_the_shops(
    write: Write, locale: str, told: str, language: str
) -> None:
    folder = write(
        {
            "note/pl/subject.txt": "Cześć",
            "note/pl/body.txt": "Cześć",
            "note/pt-BR/subject.txt": "Oi",
            "note/pt-BR/body.txt": "Oi",
        }
    )
    rendered = render(folder, locale=locale)
    assert (rendered.subject, rendered.locale) == (told, language)


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "told"),
    [
        (1999, "PLN", "pl-PL", "19,99 zł"),
        (123456789, "PLN", "pl-PL", "1 234 567,89 zł"),
        (1999, "GBP", "en-GB", "£19.99"),
        (1999, "EUR", "en-IE", "€19.99"),
        (500, "JPY", "en-US", "¥500"),
        (1234567, "KWD", "en-US", "KWD 1,234.567"),
        (1234567, "IQD", "en-US", "IQD 1,234.567"),
        (0, "USD", "en-US", "$0.00"),
        (10**15 - 1, "USD", "en-US", "$9,999,999,999,999.99"),
        (1999, "USD", "de-DE", "$19.99"),
        (1999, "XQX", "en-US", "XQX 19.99"),
    ],
)
def test_prices_are_exact_and_written_as_the_reader_does(
    write: Write, minor: int, currency: str, locale: str, told: str
) -> None:
    price = "{{ minor | money(currency) }}"
    folder = write({"note/pl/subject.txt": "x", "note/pl/body.txt": price}, text=price)
    text = render(folder, {"minor": minor, "currency": currency}, locale).text.strip()
    assert text.replace("\xa0", " ") == told


@pytest.mark.parametrize("minor", [19.99, "1999", None, True])
def test_a_price_that_is_no_whole_number_of_minor_units_is_not_sent(write: Write, minor: object) -> None:
    with pytest.raises(RenderError):
        render(write(text='{{ minor | money("PLN") }}'), {"minor": minor})


def test_mjml_is_compiled_and_shares_its_parts_by_language(write: Write) -> None:
    mjml = '<mjml><mj-body><mj-include path="foot.mjml" /></mj-body></mjml>'
    foot = "<mj-section><mj-column><mj-text>{}, {{{{ x }}}}</mj-text></mj-column></mj-section>"
    folder = write(
        {
            "note/pl/subject.txt": "x",
            "note/pl/body.txt": '{% include "foot.txt" %}',
            "note/pl/body.mjml": mjml,
            "_shared/foot.mjml": foot.format("Bye"),
            "_shared/pl/foot.mjml": foot.format("Pa"),
            "_shared/foot.txt": "Bye",
            "_shared/pl/foot.txt": "Pa",
        },
        text='{% include "foot.txt" %}',
        mjml=mjml,
    )
    english, polish = render(folder, {"x": "<b>"}), render(folder, {"x": "<b>"}, "pl")
    assert (english.text, polish.text) == ("Bye\n", "Pa\n")
    assert "Bye, &lt;b&gt;" in (english.html or "")
    assert "Pa, &lt;b&gt;" in (polish.html or "")
    assert "<mj-" not in (polish.html or "")
    assert "max-width:600px" in (polish.html or ""), "a shared section is as wide as the mail"
    assert "http" not in (polish.html or "").replace("http://www.w3.org", "").replace("http-equiv", ""), (
        "nothing is fetched from elsewhere"
    )


# -- what customers and products are called is data


HOSTILE = "<script>alert(1)</script>{{ 7 * 7 }}{% for x in y %}\"'&"


def test_what_is_data_stays_data(write: Write) -> None:
    rendered = render(write(subject="{{ x }}", text="{{ x }}", html='<p title="{{ x }}">{{ x }}</p>'), {"x": HOSTILE})
    assert rendered.subject == HOSTILE
    assert rendered.text == HOSTILE + "\n"
    escaped = "&lt;script&gt;alert(1)&lt;/script&gt;{{ 7 * 7 }}{% for x in y %}&#34;&#39;&amp;"
    assert rendered.html == f'<p title="{escaped}">{escaped}</p>'


def test_a_subject_is_one_line_without_control_characters(write: Write) -> None:
    name = "Ann\r\nBcc: x@example.com\x00\x1b[31m\u202e\u2028\x85!"
    subject = render(write(subject="Hi\n {{ x }}"), {"x": name}).subject
    assert subject == "Hi Ann Bcc: x@example.com [31m !"


def test_a_long_name_does_not_make_a_long_subject(write: Write) -> None:
    subject = render(write(subject="{{ x }}"), {"x": "long " * 1000}).subject
    assert len(subject) <= SUBJECT_CHARS_MAX
    assert subject.endswith("…")


def test_a_name_cannot_write_lines_of_its_own(write: Write) -> None:
    content = {"lines": [{"name": "Shoes\n\nYou won! Call 555\u2029now"}]}
    text = render(write(text="{% for line in lines %}* {{ line.name }}\n{% endfor %}"), content).text
    assert text == "* Shoes  You won! Call 555 now\n"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://shop.example/p?a=1&b=2", "https://shop.example/p?a=1&amp;b=2"),
        ("http://shop.example", "http://shop.example"),
        ("javascript:alert(1)", "home"),
        ("JaVaScRiPt:alert(1)", "home"),
        ("java\nscript:alert(1)", "home"),
        ("data:text/html,x", "home"),
        ("//evil.example", "home"),
        ("https://", "home"),
        ("https://x.example/\"onclick='x'", "home"),
        ("https://[::1", "home"),
        ("p7", "home"),
        (None, "home"),
        (7, "home"),
        ("https://x.example/" + "a" * 3000, "home"),
    ],
)
def test_only_web_addresses_become_links(write: Write, url: object, told: str) -> None:
    folder = write(html='<a href="{{ url | link or shop_url }}">x</a>')
    assert render(folder, {"url": url, "shop_url": "home"}).html == f'<a href="{told}">x</a>'


@pytest.mark.parametrize(
    ("name", "greeting"),
    [
        ("Anna", "Hi Anna"),
        ("Łucja Maria", "Hi Łucja Maria"),
        ("O’Hara", "Hi O’Hara"),
        ("Anna-Maria", "Hi Anna-Maria"),
        ("J. R.", "Hi J. R."),
        ("", "Hello"),
        (None, "Hello"),
        ("  ", "Hello"),
        ("Win money at evil.example", "Hello"),
        ("https://evil.example/win", "Hello"),
        ("Anna 5551234567", "Hello"),
        ("<b>Anna</b>", "Hello"),
        ("a" * 41, "Hello"),
    ],
)
def test_people_are_greeted_by_name_only_when_it_is_one(write: Write, name: object, greeting: str) -> None:
    folder = write(text='{% set name = first_name | person %}{{ "Hi " ~ name if name else "Hello" }}')
    assert render(folder, {"first_name": name}).text == greeting + "\n"


# -- what a template cannot do


BIG = {"lines": [{"x": "y"}] * 1000, "text": "x" * 10_000, "n": 10**9, "deep": {"a": [1, 2]}}


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in lines %}{% for b in lines %}{% for c in lines %}{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in lines if a.z is defined %}{% endfor %}" * 30,
        "{% for a in lines %}{{ text }}{% endfor %}",
        "{% for a in lines %}" + "x" * 10_000 + "{% endfor %}",
        "{% macro m() %}{% for a in lines %}" + "x" * 10_000 + "{% endfor %}{% endmacro %}{{ m() }}",
        "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(60) }}",
        "{% for a in lines recursive %}{{ loop(lines) }}{% endfor %}",
        "{% set t = text ~ text %}" + "{% set t = t ~ t %}" * 40 + "x",
        "{% set t %}{{ text }}{{ text }}{% endset %}" + "{% set t %}{{ t }}{{ t }}{% endset %}" * 40 + "x",
        "{{ 'x' * n }}",
        "{{ n * 'x' }}",
        "{{ text * 1000000 }}",
        "{{ [1] * n }}",
        "{{ 'x' + 'y' }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 9 ** 9 ** 9 ** 9 }}",
        "{{ n ** n }}",
        "{{ n * n * n * n }}",
        "{{ range(1000000000) | length }}",
        "{% for i in range(n) %}{% endfor %}",
        "{{ 'x'.center(n) }}",
        "{{ 'x'.ljust(n) }}",
        "{{ '{:>1000000000}'.format(1) }}",
        "{{ text.replace('x', text) }}",
        "{{ text | replace('x', text) }}",
        "{{ text.join(lines) }}",
        "{{ lines | join(text) }}",
        "{{ lines }}",
        "{{ deep }}",
        "{{ deep.a }}",
        "{{ none }}",
        "{{ missing }}",
        "{{ deep.missing }}",
        "{{ ''.__class__ }}",
        "{{ deep.items.__globals__ }}",
        "{% set x = lines.append(1) %}x",
        "{{ deep.clear() }}",
        "{{ deep.pop('a') }}",
        "{% for a in n %}{% endfor %}",
        "{{ 1 / 0 }}",
        "{{ text < 1 }}",
    ],
)
def test_a_template_that_runs_away_is_stopped_before_it_costs_anything(write: Write, text: str) -> None:
    templates = Templates.load(write(text=text))
    began = time.thread_time()
    with pytest.raises(RenderError) as raised:
        templates.render("note", BIG, "")
    assert time.thread_time() - began < 1.0
    assert "xxxx" not in str(raised.value), "what it was given is not told"


def test_shared_files_that_include_each_other_are_stopped(write: Write) -> None:
    folder = write({"_shared/a.txt": '{% include "a.txt" %}{% include "a.txt" %}'}, text='{% include "a.txt" %}')
    with pytest.raises(RenderError):
        render(folder)


def test_an_ordinary_big_cart_stays_well_inside_the_budget(write: Write) -> None:
    text = "{% for a in lines %}{{ a.name }} {{ a.name | upper }} {{ a.n * 2 }}\n{% endfor %}"
    content = {"lines": [{"name": "A rather long name of a product", "n": 3}] * 1000}
    rendered = render(write(text=text), content)
    assert len(rendered.text.splitlines()) == 1000
    assert STEPS_MAX >= 10_000
    assert 4 * len(rendered.text) <= CHARS_MAX


def test_one_rendering_does_not_pay_for_another(write: Write) -> None:
    templates = Templates.load(write(text="{% for a in lines %}{% for b in range(5) %}x{% endfor %}{% endfor %}"))
    for _ in range(20):
        templates.render("note", BIG, "")


def test_a_message_whose_template_is_not_there_is_not_rendered(write: Write) -> None:
    with pytest.raises(RenderError):
        Templates.load(write()).render("other", {}, "")


@pytest.mark.parametrize("own", [{"subject": "{{ x }}"}, {"text": "{{ x }}"}])
def test_a_mail_that_says_nothing_is_not_sent(write: Write, own: dict[str, str]) -> None:
    with pytest.raises(RenderError):
        render(write(**own), {"x": " "})


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"subject": "Hello {{ nam }}"}, "note/subject.txt, line 1: 'nam' is undefined"),
        ({"text": "Dear {{ name }},\n\nof {{ none }}"}, "note/body.txt, line 3: it prints something that is neither"),
        ({"html": "<p>\n{% for a in name.b %}\n{% endfor %}</p>"}, "note/body.html, line 2: 'str object' has no attri"),
        ({"mjml": MJML.replace("Hello", "{{ nam }}")}, "note/body.mjml: 'nam' is undefined"),
        ({"text": "{{ name\n/ 2 }}"}, "note/body.txt, line 1: it uses / on something else than two numbers"),
        ({"text": "\n{% include 'foot.txt' %}"}, "_shared/foot.txt, line 2: 'shop_nam' is undefined"),
    ],
)
def test_what_cannot_be_written_is_told_with_its_file_and_line(write: Write, files: dict[str, str], told: str) -> None:
    folder = write({"_shared/foot.txt": "Yours,\n{{ shop_nam }}"}, **files)
    with pytest.raises(RenderError) as raised:
        render(folder, {"name": "Anna", "none": None})
    assert str(raised.value).startswith(told)


# -- what is found out at the start


def test_all_faults_are_told_at_once_with_place_fact_and_way_out(write: Write) -> None:
    folder = write(
        {
            "one/subject.txt": "x",
            "two/subject.txt": "{{ x",
            "two/body.txt": "x",
            "three/subject.txt": "x",
            "three/body.txt": "x\n{% for x in y %}",
            "four/subject.txt": "x",
            "four/body.txt": "x",
            "four/body.html": "x",
            "four/body.mjml": "x",
            "Five!/subject.txt": "x",
        }
    )
    found = faults(folder)
    assert len(found) == 5
    assert f"{folder / 'one'}: there is no body.txt. Every mail has a subject and a text." in found
    assert any(each.startswith(f"{folder / 'two' / 'subject.txt'}, line 1:") for each in found)
    assert any(each.startswith(f"{folder / 'three' / 'body.txt'}, line 2:") for each in found)


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("{{ x | safe }}", "safe"),
        ("{{ x | center(1000) }}", "center"),
        ("{{ x | map(attribute='y') }}", "map"),
        ("{{ x | _spend }}", "_spend"),
        ("{% autoescape false %}{{ x }}{% endautoescape %}", "autoescape"),
        ("{% set x = [y, y] %}", "constants"),
        ("{% set x = {'a': y} %}", "constants"),
        ("{% set x = (y, y) %}", "constants"),
        ("{{ x[y] }}", "constant"),
        ('{% include "gone.txt" %}', "gone.txt"),
        ('{% include "../../secret.txt" %}', "secret.txt"),
        ("{% include x %}", "worked out"),
        ("{{ lipsum() ", "unexpected"),
    ],
)
def test_what_templates_must_not_do_is_refused_at_the_start(write: Write, text: str, fact: str) -> None:
    [fault] = faults(write(text=text))
    assert fact in fault


@pytest.mark.parametrize(
    "html",
    [
        '<a href="{{ line.url }}">x</a>',
        "<a href='{{ line.url }}'>x</a>",
        "<a href={{ line.url }}>x</a>",
        '<img src="{{ line.image_url | default("") }}">',
        '<td background="{{ x }}">',
    ],
)
def test_a_link_made_of_data_as_it_comes_is_refused_at_the_start(write: Write, html: str) -> None:
    [fault] = faults(write(html=html))
    assert "| link }}" in fault


@pytest.mark.parametrize(
    "mjml",
    [
        "<mjml><mj-body>",
        "<mjml><mj-body><mj-text>{{ x </mj-text></mj-body></mjml>",
        '<mjml><mj-body><mj-include path="gone.mjml" /></mj-body></mjml>',
        '<mjml><mj-body><mj-button href="{{ x }}">y</mj-button></mj-body></mjml>',
    ],
)
def test_mjml_that_is_none_is_refused_at_the_start(write: Write, mjml: str) -> None:
    [fault] = faults(write(mjml=mjml))
    assert "body.mjml" in fault


def test_files_nobody_reads_are_told_of(write: Write) -> None:
    found = faults(write({"note/body.htm": "x", "note/polish/subject.txt": "x", "note/pl/readme.md": "x"}))
    assert len(found) == 4  # polish is no locale, and pl has neither subject nor text
    assert any("body.htm" in each for each in found)


def test_a_file_that_is_no_utf8_is_told_of(write: Write) -> None:
    folder = write()
    (folder / "note" / "body.txt").write_bytes("Cześć".encode("iso-8859-2"))
    [fault] = faults(folder)
    assert "UTF-8" in fault


def test_a_deployment_without_mails_needs_no_templates(tmp_path: Path) -> None:
    assert Templates.load(tmp_path / "none").names == frozenset()
