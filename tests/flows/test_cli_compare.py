"""What if the flow were another one: who would notice, held against a count that knows nothing of the engine."""

from __future__ import annotations

import gzip
import json
import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from flows.cli_compare import Tally, compare
from flows.demo_shop import Shop
from state.instants import format_instant, parse_instant
from tests.flows.commands import Ended, impuls
from tests.flows.oracle import DAY, HOUR, Json, Timed, cart_histories, instant, objection, read

MONDAY = parse_instant("2026-01-05T08:00:00Z")
RETAILROCKET = Path(os.environ.get("IMPULS_DATA", "no folder")) / "retailrocket_events.csv.gz"
UNBOUND = {"IMPULS_GUARDS__MARKETING_CAP": "none", "IMPULS_GUARDS__QUIET_HOURS": "none"}
LATER_AND_KINDER = '''
"""The cart flow with a longer first wait and an offer for more people."""
from decimal import Decimal
from flows import FLOWS as SHIPPED, WINDOWS, messages
from operators.flow import Flow, days, hours, on, send, split, wait, when
from state.carts import CartChanged, CartEmptied, CartEvent, CartOrdered


def dear_or_loyal(cart, customer):
    return cart.total.amount >= Decimal(60) or customer.orders > 0


abandoned_cart = Flow(
    "abandoned_cart", enter=on(CartChanged), per=CartEvent, restart=True, leave=[on(CartOrdered), on(CartEmptied)],
    steps=[wait("cooling_off", hours(2)), send(messages.cart_reminder), wait("thinking_it_over", hours(22)),
           split(when(dear_or_loyal, send(messages.cart_offer)), otherwise=[send(messages.cart_reminder_2)]),
           wait("last_chance", days(2)), send(messages.cart_last_call)],
)
FLOWS = [abandoned_cart, *(flow for flow in SHIPPED if flow.name != "abandoned_cart")]
'''
ALSO_GREETS = """
from flows import FLOWS as SHIPPED, WINDOWS, messages
from flows.messages import greeting
from operators.flow import Flow, Template, on, send
from state.events import ProductViewed

hello = Template("hello", greeting)
greets = Flow("greets", enter=on(ProductViewed), steps=[send(hello)])
FLOWS = [*SHIPPED, greets]
"""


def compared(folder: Path, events: Path, module: str, *options: str, **environment: str) -> Ended:
    """Both versions over these events; the module lies in the folder."""
    (folder / "another_version.py").write_text(module)
    arguments = ("replay", events, "--out", folder / "out", "--compare", "another_version", "--play-out", "30d")
    ended = impuls(*arguments, *options, path=folder, cwd=folder, **environment)
    assert ended.code == 0, ended.err
    return ended


def named(folder: Path) -> dict[str, list[tuple[str, str]]]:
    """By customer: which change, of which message."""
    found = {}
    for line in (folder / "out" / "compare.jsonl").read_text().splitlines():
        told = json.loads(line)
        changes = [(each["change"], (each["before"] or each["after"])["message"]) for each in told["changes"]]
        found[told["customer"]] = sorted(changes)
    return found


def noticing(folder: Path) -> set[str]:
    lines = map(json.loads, (folder / "out" / "compare.jsonl").read_text().splitlines())
    return {line["customer"] for line in lines if line["notices"]}


def counted(events: Iterable[Json], play_out: int) -> dict[str, list[tuple[str, str]]]:
    """The same without any of the engine: what the longer wait and the kinder condition change, and for whom."""
    by_visitor: dict[str, list[Timed]] = defaultdict(list)
    for event in events:
        by_visitor[event["userId"]].append((instant(event["timestamp"]), event))
    end = max(at for mine in by_visitor.values() for at, _ in mine) + play_out
    found: dict[str, list[tuple[str, str]]] = {}
    for visitor, mine in by_visitor.items():
        mine.sort(key=lambda entry: entry[0])
        changes = []
        orders = [at for at, event in mine if event.get("event") == "Order Completed"]
        for history in cart_histories(mine, "PLN").values():
            for n, (at, worth) in enumerate(history):
                quiet_until = history[n + 1][0] if n + 1 < len(history) else end + 1
                if worth is None or at + HOUR >= quiet_until:
                    continue
                sent = objection(mine, at + HOUR)[0] == "send"
                will_be = at + 2 * HOUR < quiet_until and objection(mine, at + 2 * HOUR)[0] == "send"
                if sent and will_be:
                    changes.append(("other_time", "cart_reminder"))
                elif sent:
                    changes.append(("loses", "cart_reminder"))
                elif at + 2 * HOUR >= quiet_until:
                    changes.append(("other_reason", "cart_reminder"))
                due = at + 24 * HOUR
                kinder = worth < 100 and (worth >= 60 or any(each <= due for each in orders))
                if due < quiet_until and kinder:
                    sent = objection(mine, due)[0] == "send"
                    changes.append(("other_message" if sent else "other_reason", "cart_reminder_2"))
        if changes:
            found[visitor] = sorted(changes)
    return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as out:
        for happening in Shop(23, 150, MONDAY, 10 * DAY).events():
            out.write(json.dumps(happening.event) + "\n")
    return path


def test_a_longer_wait_and_a_kinder_condition_name_exactly_those_they_concern(shop: Path, tmp_path: Path) -> None:
    ended = compared(tmp_path, shop, LATER_AND_KINDER, "--json", **UNBOUND)
    wanted = counted(read(shop), 30 * DAY)
    assert named(tmp_path) == wanted
    kinds = {change for changes in wanted.values() for change, _ in changes}
    assert kinds == {"other_time", "loses", "other_message", "other_reason"}, "the history shows all of them"
    *rows, total = ended.lines()
    for change in kinds:
        count = sum(each == change for changes in wanted.values() for each, _ in changes)
        assert total[change] == count
        assert total["customers"][change] == sum(any(c == change for c, _ in each) for each in wanted.values())
    assert total["customers"]["changed"] == len(wanted)
    notice = {name for name, changes in wanted.items() if any(change != "other_reason" for change, _ in changes)}
    assert 0 < len(notice) < len(wanted)
    assert noticing(tmp_path) == notice
    assert total["customers"]["noticing"] == len(notice)
    assert total["gains"] == 0
    reminders = next(row for row in rows if row["message"] == "cart_reminder")
    assert reminders["before"]["send"] - reminders["after"]["send"] == reminders["loses"]


def test_the_same_flows_change_nothing_for_anybody(shop: Path, tmp_path: Path) -> None:
    same = "from flows import FLOWS, WINDOWS\n"
    total = compared(tmp_path, shop, same, "--json", **UNBOUND).lines()[-1]
    assert total["customers"]["changed"] == 0
    assert total["same"] > 100
    assert (tmp_path / "out" / "compare.jsonl").read_text() == ""


def test_who_loses_a_reminder_to_the_cap_since_another_flow_was_first(tmp_path: Path) -> None:
    events: list[Json] = []

    def happens(at: int, event: str, **properties: Any) -> None:
        body: Json = {"type": "track", "event": event, "properties": properties}
        if event == "identify":
            body = {"type": "identify", "traits": properties}
        events.append({**body, "userId": "anna", "messageId": f"m{len(events)}", "timestamp": format_instant(at)})

    happens(MONDAY, "identify", email="anna@example.invalid")
    happens(MONDAY, "Consent Granted", channel="email", topic="marketing")
    happens(MONDAY + HOUR, "Product Viewed", product_id="p1")
    happens(MONDAY + 2 * HOUR, "Product Added", product_id="p1", price=5, cart_id="k1")
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps(event) + "\n" for event in events))
    limits = {"IMPULS_GUARDS__MARKETING_CAP": "2 per 1 day", "IMPULS_GUARDS__QUIET_HOURS": "none"}
    *rows, total = compared(tmp_path, path, ALSO_GREETS, "--json", **limits).lines()
    reminder = next(row for row in rows if row["message"] == "cart_reminder")
    assert (reminder["loses"], reminder["loses_to_cap"]) == (1, 1)
    assert reminder["after"] == {"skip:cap": 1}
    assert (total["gains"], total["loses"]) == (1, 1)
    text = compared(tmp_path, path, ALSO_GREETS, **limits).out
    assert "1 of 1 customers would notice" in text
    assert "abandoned_cart cart_reminder skip (cap): 0 → 1" in text


def test_a_module_that_is_not_there_is_said_before_anything_is_played(shop: Path, tmp_path: Path) -> None:
    ended = impuls("replay", shop, "--out", tmp_path / "out", "--compare", "no_such_module", cwd=tmp_path)
    assert ended.code == 2
    assert "no_such_module" in ended.err
    assert not (tmp_path / "out").exists()


def test_decisions_beyond_one_sorted_run_are_joined_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shop: Path
) -> None:
    compared(tmp_path, shop, LATER_AND_KINDER, **UNBOUND)
    out = tmp_path / "out"
    whole = (out / "compare.jsonl").read_bytes()
    monkeypatch.setattr("flows.cli_replay.RUN_LINES_MAX", 50)
    again = tmp_path / "again.jsonl"
    tally = compare(out / "decisions.jsonl", out / "compare" / "decisions.jsonl", again)
    assert again.read_bytes() == whole
    assert isinstance(tally, Tally)


@pytest.mark.long
@pytest.mark.skipif(not RETAILROCKET.is_file(), reason="IMPULS_DATA names no folder with retailrocket_events.csv.gz")
@pytest.mark.timeout(300)
def test_of_a_real_shop_exactly_those_are_named_whom_the_count_names(tmp_path: Path) -> None:
    ended = impuls("import", "retailrocket", RETAILROCKET, "--consent", "--to", "rr.jsonl.gz", cwd=tmp_path)
    assert ended.code == 0, ended.err
    compared(tmp_path, tmp_path / "rr.jsonl.gz", LATER_AND_KINDER, **UNBOUND)
    assert named(tmp_path) == counted(read(tmp_path / "rr.jsonl.gz"), 30 * DAY)
