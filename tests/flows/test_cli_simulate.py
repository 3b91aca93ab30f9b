"""Scenarios, as an engineer plays them before anybody gets a mail."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows import FLOWS, WINDOWS
from flows.abandoned_cart import abandoned_cart
from flows.cli.scenario import read_scenario
from operators.flow import hours, minutes
from operators.program import Program
from operators.simulate import Told, happening, simulate
from state.customer import Traits
from tests.flows.commands import ROOT, asked, impuls

SCENARIOS = sorted((ROOT / "docs" / "scenarios").glob("*.toml"))
CART = 'event = "Product Added"\nproperties = { product_id = "p1", price = 120.00, cart_id = "k1" }\n'


def scenario(folder: Path, text: str) -> Path:
    path = folder / "scenario.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_scenarios_that_ship_hold(path: Path) -> None:
    play = read_scenario(path, "abandoned_cart", Program(FLOWS, WINDOWS))
    assert play.expect
    assert play.misses(play.simulation.decisions(play.play_out)) == []


def test_a_timeline_tells_event_wait_guards_and_decision_in_order() -> None:
    ended = impuls("simulate", "abandoned_cart", "docs/scenarios/order_in_the_night.toml")
    assert ended.code == 0, ended.err
    told = [
        "Tuesday" if "Tuesday" in line else line.strip() for line in ended.out.splitlines() if line.strip()
    ]  # the zone's own times
    assert any(line.startswith("21:30:00 +1h30m") and "wait cooling_off ended" in line for line in told)
    assert "✗ quiet_hours" in ended.out
    places = [
        next(n for n, line in enumerate(told) if words in line)
        for words in ("Product Added", "entered", "waits at cooling_off", "✗ quiet_hours", "○ cart_reminder defer")
    ]
    assert places == sorted(places)
    assert "cart_reminder withdrawn because of Cart Ordered" in ended.out
    assert ended.out.rstrip().endswith("As expected.")
    assert "\x1b[" not in ended.out, "no colours where nobody would see them"


def test_the_same_as_lines_of_json() -> None:
    lines = impuls("simulate", "abandoned_cart", "docs/scenarios/cap_of_two.toml", "--json").lines()
    decided = [(line["at"], line["message"], line["outcome"]) for line in lines if line["what"] == "decision"]
    assert decided[0] == ("2026-01-05T12:01:00.000Z", "welcome", "send")
    assert decided[2] == ("2026-01-06T14:00:00.000Z", "cart_offer", "skip")
    asked = [line for line in lines if line["what"] == "condition" and line["name"] == "worth_an_offer"]
    assert [line["value"] for line in asked] == [True]


def test_what_is_expected_and_not_decided_fails_as_a_test_does(tmp_path: Path) -> None:
    wrong = f'expect = [{{ at = "2h", message = "cart_reminder" }}]\nplay_out = "3h"\n[[events]]\nat = "0"\n{CART}'
    ended = asked("simulate", "abandoned_cart", scenario(tmp_path, wrong))
    assert ended.code == 1
    assert "expect[0].at: expected" in ended.err
    assert "got cart_reminder send at 2026-01-05T13:00:00.000Z" in ended.err


def test_a_decision_too_many_is_not_as_expected(tmp_path: Path) -> None:
    ended = asked("simulate", "abandoned_cart", scenario(tmp_path, f'expect = []\n[[events]]\nat = "0"\n{CART}'))
    assert ended.code == 1
    assert ended.err.count("nothing more was expected") == 3


def test_all_that_is_wrong_with_a_scenario_is_said_at_once(tmp_path: Path) -> None:
    text = (
        'beside = ["welcom"]\nstrat = "now"\nplay_out = "soon"\n'
        '[customer]\ntime_zone = "Europe/Warschau"\nconsents = ["email"]\n'
        '[rules]\nmarketing_cap = "many"\nquiet_hour = "21:00-08:00"\n'
        '[[events]]\nevent = "Product Added"\n'
        '[[events]]\nat = "1h"\nevent = "Product Added"\nproperties = { price = 5 }\n'
        '[[events]]\nat = "2025-01-01T00:00:00Z"\nproperties = {}\n'
        '[[events]]\nat = "1h"\nevent = "Order Completed"\npropertis = {}\n'
        '[[expect]]\nmesage = "x"\n'
        '[[expect]]\nmessage = "cart_remindr"\noutcome = "sent"\nreason = "tired"\n'
    )
    ended = asked("simulate", "abandoned_cart", scenario(tmp_path, text))
    assert ended.code == 2
    assert ended.out == ""
    faults = [line.partition("scenario.toml: ")[2].split(" ")[0] for line in ended.err.splitlines()]
    assert faults == [
        "strat",
        "play_out",
        "beside[0]",
        "rules.quiet_hour",
        "rules.marketing_cap",
        "customer.time_zone",
        "customer.consents",
        "events[0].at",
        "events[1]",
        "events[2].at",
        "events[2]",
        "events[3].propertis",
        "expect[0].mesage",
        "expect[1].message",
        "expect[1].outcome",
        "expect[1].reason",
    ]
    assert "Did you mean quiet_hours?" in ended.err
    assert 'Did you mean "Europe/Warsaw"?' in ended.err


@pytest.mark.parametrize(
    ("text", "said"),
    [("events = 3", "is not a list of tables"), ("at ==", "is not TOML"), ("", "so nothing happens")],
)
def test_what_is_no_scenario_at_all_is_the_callers_fault(tmp_path: Path, text: str, said: str) -> None:
    ended = asked("simulate", "abandoned_cart", scenario(tmp_path, text))
    assert (ended.code, said in ended.err) == (2, True)


def test_a_flow_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    ended = asked("simulate", "abandoned_carts", scenario(tmp_path, f'[[events]]\nat = "0"\n{CART}'))
    assert ended.code == 2
    assert "There are abandoned_cart" in ended.err


SHOP = """\
from operators.flow import Flow, Template, on, send
from state.events import ProductViewed

def content(view, customer):
    return {"first_name": customer.first_name, "category": view.category}

FLOWS = [Flow("looked", enter=on(ProductViewed), steps=[send(Template("hello", content))])]
"""
VIEW = '[customer]\nfirst_name = "Anna"\n[[events]]\nat = "0"\nevent = "Product Viewed"\n'


def shop(folder: Path, body: str) -> Path:
    """A shop of its own, and a scenario in which somebody looks at shoes."""
    (folder / "shop.py").write_text(SHOP)
    (folder / "impuls.toml").write_text('flows = "shop"\n')
    (folder / "templates" / "hello").mkdir(parents=True)
    (folder / "templates" / "hello" / "subject.txt").write_text("More {{ category }}")
    (folder / "templates" / "hello" / "body.txt").write_text(body)
    return scenario(folder, f'{VIEW}properties = {{ product_id = "p1", category = "shoes" }}\n')


def test_what_a_message_would_say_is_shown(tmp_path: Path) -> None:
    play = shop(tmp_path, "Dear {{ first_name }},\n\nlook at {{ shop_url }}.")
    ended = asked("simulate", "looked", play, "--texts", cwd=tmp_path)
    assert ended.code == 0, ended.err
    assert ended.out.endswith("\nhello, 12:00\nMore shoes\nDear Anna,\n\nlook at http://127.0.0.1:8000.\n")
    assert "More shoes" not in asked("simulate", "looked", play, cwd=tmp_path).out


SEVERAL = """\
from operators.flow import Flow, Template, days, on, recommend, send, wait
from state.events import ProductViewed

def content(view, customer):
    return {"first_name": customer.first_name}

hello = Template("hello", content)
picks = Template("picks", content, recommends=recommend("discover", 4, at_least=2))
told = Template("told", content, channel="webhook", to="crm", kind="transactional")
steps = [send(hello), wait("a_day", days(1)), send(picks), send(told), wait("a_year", days(365)), send(hello)]
FLOWS = [Flow("looked", enter=on(ProductViewed), steps=steps)]
"""


def test_what_is_said_on_several_days_is_shown_with_its_day_and_why_a_message_has_no_words_yet(tmp_path: Path) -> None:
    play = shop(tmp_path, "Dear {{ first_name }}")
    (tmp_path / "shop.py").write_text(SEVERAL)
    with play.open("a") as more:
        more.write('[[expect]]\nat = "0"\nmessage = "hello"\n')
    (tmp_path / "templates" / "hello" / "subject.txt").write_text("Hello")
    (tmp_path / "templates" / "picks").mkdir()
    for name in ("subject.txt", "body.txt"):
        (tmp_path / "templates" / "picks" / name).write_text("For you")
    ended = asked("simulate", "looked", play, "--texts", cwd=tmp_path)
    assert "waits at a_year until Wed 6 Jan 2027 12:00" in ended.out
    said = ended.out.split("through\n\n")[1]
    assert said == (
        "hello, Mon 5 Jan 2026 12:00\nHello\nDear Anna\n\n"
        "picks, Tue 6 Jan 2026 12:00\n"
        "With 2 products or more, which are chosen when it is sent; else no_content.\n\n"
        'told, Tue 6 Jan 2026 12:00\n{\n  "first_name": "Anna"\n}\n\n'
        "hello, Wed 6 Jan 12:00\nHello\nDear Anna\n"
    )


def test_a_template_that_does_not_go_with_its_content_fails_the_scenario(tmp_path: Path) -> None:
    ended = asked("simulate", "looked", shop(tmp_path, "Dear {{ first_nam }}"), cwd=tmp_path)
    assert ended.code == 1
    assert ended.err == (
        "hello cannot be written, so it would be skipped (no_content): hello/body.txt, line 1: 'first_nam' is "
        "undefined. Correct the file, or the function that makes its content.\n"
    )
    assert not (tmp_path / ".local").exists(), "no secret is made for it"


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_being_handed_to_couriers_changes_no_decision(path: Path) -> None:
    play = read_scenario(path, "abandoned_cart", Program(FLOWS, WINDOWS))
    sent = [each.message_id for each in play.simulation.decisions(play.play_out) if each.outcome == "send"]
    assert [each.message_id for each in play.simulation.messages(play.play_out)] == sent


def test_what_is_no_event_but_a_type_of_message_is_not_taken_for_one() -> None:
    with pytest.raises(ValueError, match=r"Identified\(first_name=…, traits=\{…\}\)"):
        happening("identify", birthday="1990-03-09")


def test_engineers_write_events_as_their_tracker_sends_them() -> None:
    cart = happening("Product Added", product_id="p1", price=120.0, cart_id="k1")
    order = happening("Order Completed", order_id="o1", cart_id="k1")
    filled = simulate(abandoned_cart).at(hours(0), cart)
    assert filled.at(minutes(30), order).play_out() == []
    assert filled.play_out()[1] == Told(hours(24), "cart_offer")


def test_an_event_the_decoder_would_set_aside_is_no_event() -> None:
    with pytest.raises(ValueError, match="product_id"):
        happening("Product Added", price=1)


def test_who_agreed_to_one_thing_did_not_agree_to_another() -> None:
    cart = happening("Product Added", product_id="p1", cart_id="k1")
    silent = simulate(abandoned_cart).who_agreed_to("sms/marketing").at(hours(0), cart)
    assert {told.reason for told in silent.decided()} == {"no_consent"}
    nowhere = simulate(abandoned_cart).who_is(Traits(phone="+48600000000")).at(hours(0), cart)
    assert {told.reason for told in nowhere.decided()} == {"no_address"}
