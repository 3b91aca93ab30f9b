"""Whether customers came out as they were drawn, also after somebody edited the shares."""

from __future__ import annotations

from dataclasses import replace

import pytest

from operators.measuring.account import Terms
from operators.measuring.figures import Line, Report
from operators.measuring.rows import AnyRow, Decided, Drawn, of_decision
from state.decisions import Decision
from state.instants import format_instant
from tests.operators.measuring.customers import MONDAY, TERMS, ledger, sent

EXPERIMENT = replace(TERMS, experiments={"x": "cart"})
Draws = dict[tuple[str, float], int]


def lines(customers: list[AnyRow], terms: Terms, **own_holdouts: float) -> list[Line]:
    found = ledger(*([row] for row in customers), terms=terms)
    told = Report(
        found, currency="PLN", holdout=0.1, clock=terms.clock, delivers=False, own_holdouts=own_holdouts, flow="cart"
    )
    return list(told.lines())


def drawn(draws: Draws) -> list[AnyRow]:
    return [
        Drawn(at=MONDAY + n, id="x", experiment="x", arm=arm, propensity=share)
        for (arm, share), count in draws.items()
        for n in range(count)
    ]


def p_of(draws: Draws) -> float | None:
    srm = next(line for line in lines(drawn(draws), EXPERIMENT) if line.arm).srm
    return srm.p_value if srm else None


def test_shares_that_were_edited_are_each_held_against_those_who_were_drawn_with_them() -> None:
    even: Draws = {("a", 0.5): 500, ("b", 0.5): 500}
    assert p_of({**even, ("a", 0.9): 900, ("b", 0.1): 100}) == 1.0
    wrong = p_of({**even, ("a", 0.9): 700, ("b", 0.1): 300})
    assert wrong is not None
    assert wrong < 1e-6
    [first, *_] = (
        line.srm for line in lines(drawn({**even, ("a", 0.9): 900, ("b", 0.1): 100}), EXPERIMENT) if line.arm
    )
    assert first is not None
    assert (first.counts, first.shares) == ({"a": 1400, "b": 600}, {"a": 0.7, "b": 0.3})


@pytest.mark.parametrize(
    "draws",
    [
        {("a", 0.4): 800, ("b", 0.4): 400, ("c", 0.2): 200, ("b", 0.2): 200, ("c", 0.4): 400},
        {("a", 0.4): 800, ("b", 0.4): 400, ("b", 0.6): 600},  # c was taken out, and who was in it drawn anew
        {("a", 0.5): 400, ("a", 1.0): 400},
        {("a", 0.5): 400, ("b", 0.5): 400, ("c", 1.0): 400},
    ],
)
def test_where_nobody_can_say_which_shares_were_in_force_together_nothing_is_said(draws: Draws) -> None:
    assert p_of(draws) is None


@pytest.mark.parametrize("draws", [{("a", 0.4): 400, ("b", 0.4): 400}, {("a", 0.5): 400}])
def test_an_arm_that_nobody_gets_raises_an_alarm(draws: Draws) -> None:
    found = p_of(draws)
    assert found is not None
    assert found < 1e-6


def test_decisions_do_not_tell_of_an_arm_in_which_nothing_is_sent() -> None:
    rows: list[AnyRow] = [sent(n, experiment="x", arm="ab"[n % 2], propensity=0.4) for n in range(400)]
    assert {line.srm.p_value for line in lines(rows, TERMS) if line.arm and line.srm} == {1.0}
    assert {line.srm for line in lines(rows[::2], TERMS) if line.arm} == {None}


def decided(number: int, *, held: bool, share: float, of: str = "holdout") -> Decided:
    """As it stands in the log, of a customer who is drawn with this share of a holdout."""
    arm, propensity = ("held_out", share) if held else ("treated", 1 - share)
    decision = Decision(
        decision_id=f"d{number}",
        message_id=f"m{number}",
        at=format_instant(MONDAY + number),
        customer="c",
        flow="cart",
        flow_version="1",
        passage="p",
        step="s",
        message="reminder",
        channel="email",
        kind="marketing",
        outcome="skip" if held else "send",
        reason="holdout" if held else "",
        experiment=of if share else "",
        arm=arm if share else "",
        propensity=propensity if share else None,
    )
    return of_decision(decision)


def shop(*, share: float, held: int, customers: int = 1000, of: str = "holdout") -> list[AnyRow]:
    return [decided(n, held=n < held, share=share, of=of) for n in range(customers)]


def p_of_holdout(rows: list[AnyRow], terms: Terms = TERMS) -> float | None:
    srm = lines(rows, terms)[0].srm
    return srm.p_value if srm else None


def test_a_holdout_that_was_raised_or_begun_is_no_alarm() -> None:
    assert p_of_holdout([*shop(share=0.05, held=50), *shop(share=0.1, held=100)]) == 1.0
    assert p_of_holdout([*shop(share=0.0, held=0), *shop(share=0.1, held=100)]) == 1.0
    assert p_of_holdout(shop(share=0.0, held=0)) is None
    wrong = p_of_holdout([*shop(share=0.05, held=50), *shop(share=0.1, held=0)])
    assert wrong is not None
    assert wrong < 1e-6


def test_a_flow_that_got_a_holdout_of_its_own_is_compared_with_that_one() -> None:
    own = replace(TERMS, own_holdouts={"cart"})
    rows = [*shop(share=0.1, held=0), *shop(share=0.2, held=200, of="holdout:cart")]
    assert p_of_holdout(rows, own) == 1.0
    assert p_of_holdout([*shop(share=0.1, held=100), *shop(share=0.2, held=200, of="holdout:cart")]) is None


def test_who_came_through_an_experiment_is_counted_to_the_one_holdout_there_was() -> None:
    arms: list[AnyRow] = [sent(n, experiment="x", arm="a", propensity=0.5) for n in range(900)]
    held = shop(share=0.1, held=100, customers=100)
    nobody = p_of_holdout(arms)
    assert nobody is not None
    assert nobody < 1e-6
    assert p_of_holdout([*arms, *held]) == 1.0
    assert p_of_holdout([*arms, *held, *shop(share=0.05, held=50)]) is None
