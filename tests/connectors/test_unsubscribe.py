"""The page behind the links in mails, over real HTTP, into the real log; and once in a real browser."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from connectors.log import LogReader, LogWriter, create_topics
from connectors.tokens import Tokens, UnsubscribeToken
from connectors.unsubscribe import BODY_BYTES_MAX, app
from state.records import TopicPartition, TopicSpec

SECONDS_MAX = 20.0
TOKENS = Tokens(b"a secret of the tests, long enough for one")
TOKEN = UnsubscribeToken("c42", "email", "marketing", "ab" * 16, 1_790_000_000)
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


class Shop:
    """A running page and the log it writes to. `now` is what its clock says."""

    def __init__(self, log: Path) -> None:
        self.log, self.now, self.url = log, 1_795_514_400.0, ""
        create_topics(log, [TopicSpec("engagement", 2, 7)])

    def link(self, token: UnsubscribeToken = TOKEN) -> str:
        return f"{self.url}/u/{TOKENS.seal(token)}"

    def events(self) -> list[dict[str, Any]]:
        with closing(LogReader(self.log, "")) as reader:
            tps = [TopicPartition("engagement", partition) for partition in range(2)]
            ends, places = reader.ends(tps), reader.beginnings(tps)
            reader.assign(places)
            found: list[dict[str, Any]] = []
            while any(places[tp] < ends[tp] for tp in tps):
                for fetched in reader.poll(100):
                    places[TopicPartition(fetched.topic, fetched.partition)] = fetched.end
                    for record in fetched.records:
                        event = json.loads(record.value or b"")
                        assert record.key == event["userId"].encode()
                        found.append(event)
            return found


@contextmanager
def serving(shop: Shop, writer: LogWriter) -> Iterator[None]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app(TOKENS, writer, topic="engagement", wall=lambda: shop.now), log_config=None)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    shop.url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(SECONDS_MAX)
        listening.close()
    assert not thread.is_alive()


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    found = Shop(tmp_path / "log")
    with closing(LogWriter(found.log, fsync=False)) as writer, serving(found, writer):
        yield found


def is_refused(answer: httpx.Response, status: int) -> None:
    """With problem details (RFC 9457), which nobody keeps."""
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status
    assert answer.headers["Cache-Control"] == "no-store"


def test_one_click_in_a_mail_program_unsubscribes(shop: Shop) -> None:
    answer = httpx.post(shop.link(), data=ONE_CLICK)
    assert answer.status_code == 200
    [event] = shop.events()
    assert event["event"] == "Unsubscribed"
    assert event["userId"] == "c42"
    assert event["timestamp"] == "2026-11-24T10:00:00.000Z"
    properties = event["properties"]
    assert (properties["channel"], properties["topic"]) == ("email", "marketing")
    assert properties["message_id"] == TOKEN.message_id


def test_mail_programs_that_send_a_multipart_form_are_understood(shop: Shop) -> None:
    answer = httpx.post(shop.link(), files={"List-Unsubscribe": (None, "One-Click")})
    assert answer.status_code == 200
    assert len(shop.events()) == 1


def test_looking_at_the_page_changes_nothing(shop: Shop) -> None:
    """Virus scanners and previews open every link of a mail."""
    for _ in range(3):
        assert httpx.get(shop.link()).status_code == 200
        head = httpx.head(shop.link())
        assert (head.status_code, head.content) == (200, b"")
    httpx.get(shop.link(), params=ONE_CLICK)
    assert shop.events() == []


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_do_nothing(shop: Shop, method: str) -> None:
    assert httpx.request(method, shop.link()).status_code == 405
    assert shop.events() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"List-Unsubscribe=",
        b"List-Unsubscribe=Two-Clicks",
        b"List-Unsubscribe=One-Click&more=1",
        b"more=1&List-Unsubscribe=One-Click",
        b"List-Unsubscribe=One-Click&List-Unsubscribe=One-Click",
        b"xList-Unsubscribe=One-Click",
        b"\xff\x00",
        b"List-Unsubscribe=One-Click" + b" " * BODY_BYTES_MAX,
    ],
)
def test_a_body_that_says_something_else_does_nothing(shop: Shop, body: bytes) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    is_refused(httpx.post(shop.link(), content=body, headers=kind), 400)
    assert shop.events() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--x\r\n",
        b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nTwo-Clicks\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="other"\r\n\r\nOne-Click\r\n--x--\r\n',
        b'--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n'
        b'--x\r\nContent-Disposition: form-data; name="more"\r\n\r\n1\r\n--x--\r\n',
        b"--x\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n--x--\r\n",
        b"\xff\xfe--x\x00",
    ],
)
@pytest.mark.parametrize("kind", ["multipart/form-data; boundary=x", "multipart/form-data", "multipart/form-data; é"])
def test_a_multipart_form_that_says_something_else_does_nothing(shop: Shop, body: bytes, kind: str) -> None:
    answer = httpx.post(shop.link(), content=body, headers={b"Content-Type": kind.encode("latin-1")})
    is_refused(answer, 400)
    assert shop.events() == []


def test_a_link_that_was_cut_or_made_up_is_none(shop: Shop) -> None:
    links = [shop.link()[:-1], shop.link() + "A", f"{shop.url}/u/abc", f"{shop.url}/u/%00", f"{shop.url}/u/%C5%82"]
    for link in links:
        page = httpx.get(link)
        assert (page.status_code, page.headers["Content-Type"]) == (404, "text/html; charset=utf-8")
        is_refused(httpx.post(link, data=ONE_CLICK), 404)
    assert shop.events() == []


def test_pressing_twice_is_one_event_and_pressing_again_later_is_another(shop: Shop) -> None:
    for seconds in (0, 2, 3600):
        shop.now += seconds
        assert httpx.post(shop.link(), data=ONE_CLICK).status_code == 200
    ids = [event["messageId"] for event in shop.events()]
    assert len(ids) == 3
    assert len(set(ids)) == 2


def test_what_is_in_a_token_is_text_on_the_page_and_not_html(shop: Shop) -> None:
    page = httpx.get(shop.link(TOKEN._replace(topic="<script>alert(1)</script>"))).text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_page_is_not_stored_framed_or_indexed_and_tells_nobody_where_she_came_from(shop: Shop) -> None:
    for answer in (httpx.get(shop.link()), httpx.post(shop.link(), data=ONE_CLICK), httpx.get(f"{shop.url}/u/x")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["X-Robots-Tag"] == "noindex"
        assert "Set-Cookie" not in answer.headers
        assert "c42" not in answer.text


def test_a_log_that_takes_nothing_is_said_and_not_hidden(tmp_path: Path) -> None:
    found = Shop(tmp_path / "log")
    writer = LogWriter(found.log, fsync=False)
    writer.close()
    with serving(found, writer):
        answer = httpx.post(found.link(), data=ONE_CLICK)
    is_refused(answer, 503)
    assert int(answer.headers["Retry-After"]) > 0
    assert found.events() == []


def test_many_press_at_once(shop: Shop) -> None:
    with httpx.Client() as client:
        threads = [
            threading.Thread(
                target=lambda n=n: client.post(shop.link(TOKEN._replace(customer=f"c{n}")), data=ONE_CLICK)
            )
            for n in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS_MAX)
    assert {event["userId"] for event in shop.events()} == {f"c{n}" for n in range(40)}


# -- a person with a browser


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    names = ("chromium", "chromium-browser", "google-chrome")
    chromium = next(filter(None, map(shutil.which, names)), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        missing = "no Chromium with chromedriver here (Debian: chromium chromium-driver)"
        if os.environ.get("CI") == "true":
            pytest.fail(f"{missing}, and on CI there must be one")
        pytest.skip(f"left out: {missing}")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}",
    ):
        options.add_argument(argument)
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield found
    finally:
        found.quit()


def test_a_person_sees_the_question_presses_the_button_and_is_unsubscribed(
    shop: Shop, browser: webdriver.Chrome
) -> None:
    browser.set_window_size(360, 640)
    browser.get(shop.link())
    assert browser.find_element(By.TAG_NAME, "h1").text == "Unsubscribe"
    assert "marketing e-mails" in browser.find_element(By.TAG_NAME, "main").text
    wide = browser.execute_script("return document.documentElement.scrollWidth")
    assert wide <= 360, "it fits a telephone"
    assert shop.events() == []
    browser.find_element(By.TAG_NAME, "button").click()
    done = WebDriverWait(browser, SECONDS_MAX).until(
        lambda page: page.find_element(By.TAG_NAME, "h1").text == "You are unsubscribed"
    )
    assert done
    deadline = time.monotonic() + SECONDS_MAX
    while not shop.events():
        assert time.monotonic() < deadline
    assert [event["userId"] for event in shop.events()] == ["c42"]
    assert [entry for entry in browser.get_log("browser") if "favicon" not in entry["message"]] == []  # type: ignore[no-untyped-call]
