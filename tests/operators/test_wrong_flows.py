"""Wrong flows are caught before they run: by mypy where types tell, at import where they do not."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from operators.flow import (
    Flow,
    FlowError,
    Template,
    arm,
    at,
    check_flows,
    days,
    experiment,
    hours,
    leave,
    on,
    send,
    split,
    wait,
    wait_for,
    wait_until,
    when,
)
from operators.program import Program
from operators.windows import check_windows, count, sliding
from state.carts import CartChanged, CartEvent, CartOrdered
from state.customer import Customer
from state.events import OrderCompleted

ROOT = Path(__file__).resolve().parents[2]
WRONG = sorted((Path(__file__).parent / "wrong_flows").glob("*.py"))


@pytest.fixture(scope="module")
def found() -> dict[str, list[str]]:
    """What mypy --strict says of each file, all in one run."""
    ended = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-pretty", *map(str, WRONG)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=110,
        check=False,
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    lines = [line for line in ended.stdout.splitlines() if ": error: " in line]
    assert all("wrong_flows" in line for line in lines), lines
    return {path.name: [line for line in lines if f"/{path.name}:" in line] for path in WRONG}


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_mypy_rejects_a_wrong_flow_for_the_right_reason(path: Path, found: dict[str, list[str]]) -> None:
    text = path.read_text()
    expected = re.search(r"^# expected: (.*)$", text, re.MULTILINE)
    assert expected is not None
    if expected[1] == "nothing":
        assert found[path.name] == []
        return
    code, reason = expected[1].split(" ", 1)
    (error,) = found[path.name]
    assert error.endswith(f" {code}")
    assert reason in error
    line = int(error.split(":")[1])
    assert "# wrong" in text.splitlines()[line - 1]


def content(_: CartChanged, __: Customer) -> Mapping[str, Any]:
    return {}


def other_content(_: CartChanged, __: Customer) -> Mapping[str, Any]:
    return {"other": True}


def likes(_: CartChanged, __: Customer) -> bool:
    return True


def payday(cart: CartChanged, _: Customer) -> int:
    return cart.at


changes = sliding("changes", on=CartChanged, over=days(7), keep=count())


def how_often(cart: CartChanged, customer: Customer) -> int:
    return changes.of(customer, cart.at)


def changed_often(cart: CartChanged, customer: Customer) -> bool:
    return any(how_often(cart, customer) > least for least in (3,))


hello = Template("hello", content)
hour, day = wait("hour", hours(1)), wait("day", days(1))


def flow(*steps: Any, name: str = "carts", **more: Any) -> Flow[CartChanged]:
    return Flow(name, enter=on(CartChanged), steps=steps, **more)


FAULTS: dict[str, tuple[Callable[[], object], str]] = {
    "a wait named twice": (
        lambda: flow(hour, send(hello), wait("hour", hours(2)), send(hello)),
        'carts.steps[2]: wait "hour" is already used in this flow. Customers are parked by the name of their wait, '
        "so each needs its own.",
    ),
    "a wait named twice in two branches": (
        lambda: flow(split(when(likes, hour, send(hello)), otherwise=[hour]), send(hello)),
        'carts.steps[0].otherwise[0]: wait "hour" is already used in this flow. Customers are parked by the name of '
        "their wait, so each needs its own.",
    ),
    "a wait nothing follows": (
        lambda: flow(send(hello), hour),
        'carts.steps[1]: nothing follows wait "hour". Add a step after it, or remove it.',
    ),
    "a wait nothing follows in a branch": (
        lambda: flow(send(hello), split(when(likes, hour))),
        'carts.steps[1].when[0][0]: nothing follows wait "hour". Add a step after it, or remove it.',
    ),
    "a wait without a name": (
        lambda: flow(wait("", hours(1)), send(hello)),
        "carts.steps[0]: a wait needs a name. Customers are parked by it.",
    ),
    "a wait for a bare number": (
        lambda: flow(wait("hour", 3), send(hello)),  # type: ignore[arg-type]
        'carts.steps[0]: how long wait "hour" lasts is 3. Write minutes(…), hours(…) or days(…).',
    ),
    "a message by its name": (
        lambda: send("hello"),  # type: ignore[arg-type]
        "send(…) is 'hello'. Name a Template.",
    ),
    "a message that is not sent": (
        lambda: flow(hello),
        'carts.steps[0] is the Template "hello". Steps are what send(…), wait(…), split(…) and their like return.',
    ),
    "steps of a case in a list": (
        lambda: flow(split(when(likes, [send(hello)]))),  # type: ignore[arg-type]
        "when(likes, …)[0] is a list. Steps are what send(…), wait(…), split(…) and their like return.",
    ),
    "a split without when": (
        lambda: flow(split(likes, otherwise=[send(hello)])),  # type: ignore[arg-type]
        'split(…): the function "likes" is no case. Write each as when(condition, send(…)).',
    ),
    "an event without on": (
        lambda: Flow("carts", enter=CartChanged, steps=[send(hello)]),  # type: ignore[arg-type]
        'carts.enter is the class "CartChanged". Write on(…) around the kind of event: on(OrderCompleted).',
    ),
    "leaving by one event that is no list": (
        lambda: flow(send(hello), leave=on(CartOrdered)),
        "carts.leave is a Trigger, not a list. Write on(…) around the kind of event: on(OrderCompleted). "
        "Write leave=[…] around them.",
    ),
    "an event that is none": (
        lambda: on("Order Completed"),  # type: ignore[arg-type]
        "on(…): 'Order Completed' is no kind of event. Name a class of them: on(OrderCompleted).",
    ),
    "a moment that is no function": (
        lambda: wait_until("nine", 9, at_most=days(1)),  # type: ignore[call-overload]
        'wait_until("nine", …) is 9. Name a function of event and customer.',
    ),
    "a kind of message that there is not": (
        lambda: Template("hello", content, kind="marketng"),  # type: ignore[arg-type]
        "template \"hello\".kind is 'marketng'. There are marketing, transactional.",
    ),
    "a channel that there is not": (
        lambda: Template("hello", content, channel="mail"),  # type: ignore[arg-type]
        "template \"hello\".channel is 'mail'. There are email, sms, push, webhook.",
    ),
    "what is no flow among the flows": (
        lambda: check_flows([flow(send(hello)), "others"]),  # type: ignore[list-item]
        "FLOWS[1] is 'others'. It takes flows, and canary(…) or shadow(…) of them.",
    ),
    "a window that nobody keeps": (
        lambda: Program([flow(split(when(changed_often, send(hello))))]),
        'carts: changed_often reads the window "changes", which nobody keeps. Put it into WINDOWS; in a test: '
        "simulate(…, windows=[…]).",
    ),
    "a window that stands for all of them": (
        lambda: check_windows(sliding("carts", on=CartChanged, over=days(7), keep=count())),  # type: ignore[arg-type]
        'WINDOWS is the Sliding "carts". Write a list of them, also of one: WINDOWS = [views].',
    ),
    "a window over a bare number": (
        lambda: sliding("carts", on=CartChanged, over=7, keep=count()),  # type: ignore[arg-type]
        'window "carts": over is 7. Write minutes(…), hours(…) or days(…).',
    ),
    "a wait for no time at all": (
        lambda: flow(wait_for("order", on(CartOrdered), within=hours(0)), send(hello)),
        'carts.steps[0]: wait "order" must last longer than nothing, got 0:00:00.',
    ),
    "steps after a leave": (
        lambda: flow(hour, leave, send(hello)),
        "carts.steps[2]: no customer gets past the leave before it. Remove one of the two.",
    ),
    "steps after a leave in what is done when nothing came": (
        lambda: flow(wait_for("order", on(CartOrdered), within=hours(1), or_else=[leave, send(hello)]), send(hello)),
        "carts.steps[0].or_else[1]: no customer gets past the leave before it. Remove one of the two.",
    ),
    "shares that do not add up": (
        lambda: flow(experiment("offer", arm("with", 60, send(hello)), arm("without", 30))),
        'carts.steps[0]: the shares of experiment "offer" are 60, 30 percent, which adds up to 90. They must add up to '
        "100.",
    ),
    "shares that are no numbers": (
        lambda: flow(experiment("offer", arm("with", float("nan"), send(hello)), arm("without", 30))),
        'carts.steps[0]: the shares of experiment "offer" are nan, 30 percent, which adds up to nan. They must add up '
        "to 100.",
    ),
    "an experiment without arms": (
        lambda: flow(experiment("offer")),
        'carts.steps[0]: the shares of experiment "offer" are  percent, which adds up to 0. They must add up to 100.',
    ),
    "two arms of one name": (
        lambda: flow(experiment("offer", arm("a", 50), arm("a", 50))),
        'carts.steps[0]: two arms of experiment "offer" share a name. Customers are counted by it.',
    ),
    "a lambda for a condition": (
        lambda: flow(split(when(lambda _, __: True, send(hello)))),
        "when(…): a condition without a name cannot be explained or drawn. Write it as a function with a name.",
    ),
    "a lambda for a moment": (
        lambda: flow(wait_until("payday", lambda cart, __: cart.at, at_most=days(31)), send(hello)),
        'wait_until("payday", …): a condition without a name cannot be explained or drawn. Write it as a function with '
        "a name.",
    ),
    "a moment at no time at all": (
        lambda: flow(wait_until("payday", payday, at_most=hours(0)), send(hello)),
        'carts.steps[0]: wait "payday" must last longer than nothing, got 0:00:00. Write at_most=days(…).',
    ),
    "a lambda for a content": (
        lambda: Template("hello", lambda _, __: {}),
        'template "hello".content: a condition without a name cannot be explained or drawn. Write it as a function '
        "with a name.",
    ),
    "a message that is never useful": (
        lambda: Template("hello", content, within=hours(-1)),
        'template "hello".within must be longer than nothing, got -1 day, 23:00:00.',
    ),
    "an hour that no day has": (
        lambda: at(24),
        "at(24, 0): hours go from 0 to 23, minutes to 59, weekdays to SUNDAY.",
    ),
    "passages per something else than what enters": (
        lambda: Flow("orders", enter=on(OrderCompleted), per=CartEvent, steps=[]),
        "orders.per: customers enter with a OrderCompleted, which is not a CartEvent. Enter with an event of that "
        "kind, or change per.",
    ),
    "a wait renamed to nowhere": (
        lambda: flow(hour, send(hello), renamed={"minute": "our"}),
        'carts.renamed: "minute" → "our" must lead from a wait that is gone to one that is there. There are hour.',
    ),
    "a wait renamed that is still there": (
        lambda: flow(hour, day, send(hello), renamed={"hour": "day"}),
        'carts.renamed: "hour" → "day" must lead from a wait that is gone to one that is there. There are day, hour.',
    ),
    "a flow named twice": (
        lambda: check_flows([flow(send(hello)), flow(send(hello), name="others"), flow(hour, send(hello))]),
        'FLOWS[2]: there already is a flow "carts". Passages are stored by the name of their flow, so each needs its '
        "own; to try a new version of it, write canary(…) or shadow(…) around that.",
    ),
    "two templates of one name": (
        lambda: Program([flow(send(hello)), flow(send(Template("hello", other_content)), name="others")]),
        'others: there already is another template "hello". Messages are found by the name of their template, so each '
        "needs its own.",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_flow_that_cannot_run_as_written_says_where_and_why_and_what_to_do(fault: str) -> None:
    make, told = FAULTS[fault]
    with pytest.raises(FlowError) as raised:
        make()
    assert str(raised.value) == told


def test_a_window_that_is_kept_may_be_read() -> None:
    Program([flow(split(when(changed_often, send(hello))))], [changes])


def test_the_same_template_may_be_sent_by_two_flows_and_twice_by_one() -> None:
    program = Program([flow(send(hello), hour, send(hello)), flow(send(hello), name="others")])
    assert list(program.templates) == ["hello"]


def test_a_wait_that_ends_a_branch_is_followed_by_what_comes_after_the_branch() -> None:
    flow(split(when(likes, hour)), send(hello))
    flow(wait_for("order", on(CartOrdered), within=hours(1), or_else=[send(hello)]))
