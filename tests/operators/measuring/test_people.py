"""Opens and clicks: whose they are."""

import pytest

from operators.measuring.people import by_people, is_machine
from operators.measuring.rows import Engaged
from tests.operators.measuring.customers import IPHONE, MINUTE, MONDAY, SECOND, engaged, sent

PEOPLE = [
    IPHONE,
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Thunderbird/128.5.0",
    "Mozilla/4.0 (compatible; ms-office; MSOffice 16)",
    "Mozilla/5.0 (Linux; Android 10; CUBOT P40) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Mobile",
    "",
]
MACHINES = [
    "Mozilla/5.0",
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
    "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/119.0.0.0 Safari/537.36",
    "Microsoft Office Existence Discovery",
    "BarracudaCentral",
    "python-requests/2.32",
    "curl/8.5.0",
    "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)",
]
MAIL = sent(0)


@pytest.mark.parametrize("user_agent", PEOPLE)
def test_people_read_with_phones_and_browsers(user_agent: str) -> None:
    assert not is_machine(user_agent)


@pytest.mark.parametrize("user_agent", MACHINES)
def test_proxies_scanners_and_libraries_are_no_people(user_agent: str) -> None:
    assert is_machine(user_agent)


def clicks(*places: tuple[int, str]) -> list[Engaged]:
    return [engaged(MAIL, "clicked", after, url) for after, url in places]


def test_who_follows_every_link_within_seconds_is_a_scanner() -> None:
    burst = clicks((MINUTE, "a"), (MINUTE + SECOND, "b"), (MINUTE + 9 * SECOND, "c"))
    person = clicks((3 * MINUTE, "b"))
    assert by_people([*burst, *person], None) == [False, False, False, True]


def test_who_looks_at_three_things_with_time_between_is_a_person() -> None:
    assert by_people(clicks((0, "a"), (8 * SECOND, "b"), (16 * SECOND, "c")), None) == [True] * 3
    assert by_people(clicks((0, "a"), (SECOND, "a"), (2 * SECOND, "b")), None) == [True] * 3


def test_nobody_reads_a_mail_in_the_second_it_arrives() -> None:
    seen = clicks((500, "a"), (1500, "a"))
    assert by_people(seen, MONDAY) == [False, True]
    assert by_people(seen, None) == [True, True]


def test_an_hour_of_a_replayed_shop_is_not_measured_by_the_wall_clock() -> None:
    assert by_people(clicks((500, "a")), MONDAY + 1000 * MINUTE) == [True]
