"""Which message an order is credited to, and who is compared with whom."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from msgspec import structs

from operators.measuring.account import DAY_MS, ROWS_MAX
from operators.measuring.figures import Report
from operators.measuring.ledger import Ledger, Place
from operators.measuring.rows import AnyRow, Drawn, Said, What
from tests.operators.measuring.customers import HOUR, MONDAY, TERMS, accepted, counts, engaged, ledger, order, sent


def test_an_order_after_a_message_is_its_doing() -> None:
    found = counts(sent(0), order(5 * HOUR, 12_345))
    assert (found.sent, found.converted, found.orders, found.revenue) == (1, 1, 1, {"PLN": 12_345})


def test_an_order_outside_of_the_flows_window_is_nobodys_doing() -> None:
    assert counts(sent(0), order(2 * DAY_MS)).orders == 1
    assert counts(sent(0), order(2 * DAY_MS + 1)).orders == 0
    assert counts(sent(0, flow="news"), order(6 * DAY_MS), flow="news").orders == 1


def test_an_order_at_the_moment_of_a_message_came_before_it() -> None:
    assert counts(sent(0), order(0)).orders == 0


def test_the_last_message_before_an_order_gets_it() -> None:
    found = ledger([sent(0, "reminder"), sent(HOUR, "offer"), order(2 * HOUR), sent(3 * HOUR, "last")])
    by_message = {place.message: each.orders for place, each in found.counts.items() if place.message}
    assert by_message == {"reminder": 0, "offer": 1, "last": 0}


def test_a_click_is_a_later_touch_than_another_message() -> None:
    first, second = sent(0, "reminder"), sent(HOUR, "offer")
    found = ledger([first, second, engaged(first, "clicked", 2 * HOUR), order(3 * HOUR)])
    assert found.counts[Place("cart", "reminder")].orders == 1


def test_a_click_by_a_scanner_is_no_touch() -> None:
    first, second = sent(0, "reminder"), sent(HOUR, "offer")
    click = engaged(first, "clicked", 2 * HOUR, user_agent="Barracuda Sentinel (EE)")
    assert ledger([first, second, click, order(3 * HOUR)]).counts[Place("cart", "offer")].orders == 1


def test_what_no_server_accepted_touched_nobody() -> None:
    mail, known = sent(0), replace(TERMS, delivers=True)
    assert counts(mail, order(HOUR), terms=known).orders == 0
    assert counts(mail, accepted(mail), order(HOUR), terms=known).orders == 1


def test_a_thank_you_for_an_order_earns_nothing() -> None:
    assert counts(sent(0, "thanks", "thanks", kind="transactional"), order(HOUR), flow="thanks").orders == 0


def test_two_orders_after_one_message_are_one_converted_message() -> None:
    found = counts(sent(0), order(HOUR, 1_000), order(2 * HOUR, 2_000, "o2", currency="EUR"))
    assert (found.converted, found.orders, found.revenue) == (1, 2, {"PLN": 1_000, "EUR": 2_000})


@pytest.mark.parametrize(
    ("said_later", "left"),
    [
        ([order(HOUR, 4_000, what="refunded")], 6_000),
        ([order(HOUR, 4_000, what="refunded"), order(2 * HOUR, 9_000, what="refunded")], 0),
        ([order(HOUR, None, what="refunded")], 0),
        ([order(HOUR, 10, what="refunded", currency="EUR")], 0),
        ([order(HOUR, 7_000, what="updated"), order(2 * HOUR, 1_000, what="refunded")], 6_000),
        ([order(HOUR)], 10_000),
        ([order(HOUR, 3_000, "another", "refunded")], 10_000),
    ],
)
def test_refunds_take_revenue_back_but_not_the_order(said_later: list[AnyRow], left: int) -> None:
    found = counts(sent(-HOUR), order(0), *said_later)
    assert (found.orders, found.revenue["PLN"]) == (1, left)


def test_a_cancelled_order_never_was() -> None:
    found = counts(sent(0), order(HOUR), order(2 * HOUR, what="cancelled"))
    assert (found.converted, found.orders, found.revenue["PLN"]) == (0, 0, 0)


def test_a_refund_long_after_the_window_counts_all_the_same() -> None:
    assert counts(sent(0), order(HOUR), order(60 * DAY_MS, None, what="refunded")).revenue["PLN"] == 0


@pytest.mark.parametrize(("what", "orders", "left"), [("cancelled", 0, 0), ("refunded", 1, 0), ("updated", 1, 7_000)])
def test_what_is_said_in_the_second_of_an_order_is_said_after_it(what: Said, orders: int, left: int) -> None:
    minor = 7_000 if what == "updated" else None
    said, bought = (structs.replace(order(HOUR, minor, what=what), id="a"), structs.replace(order(HOUR), id="z"))
    found = counts(sent(0), said, bought)
    assert (found.orders, found.revenue["PLN"]) == (orders, left)


def test_who_clicked_has_seen_the_mail() -> None:
    mail = sent(0)
    found = counts(mail, engaged(mail, "clicked", HOUR, "a"), engaged(mail, "clicked", 2 * HOUR, "b"))
    assert (found.opened, found.clicked, found.opened_by_machines) == (1, 1, 0)


def test_a_picture_proxy_is_told_apart_until_a_person_comes() -> None:
    mail = sent(0)
    proxy = engaged(mail, "opened", HOUR, user_agent="Mozilla/5.0")
    found = counts(mail, proxy)
    assert (found.opened, found.opened_by_machines) == (0, 1)
    found = counts(mail, proxy, engaged(mail, "opened", 2 * HOUR))
    assert (found.opened, found.opened_by_machines) == (1, 0)


def test_a_message_put_off_and_sent_is_one_message() -> None:
    put_off = sent(0, reason="quiet_hours")
    found = counts(put_off, sent(0))
    assert (found.sent, found.unsent) == (1, {})
    assert counts(put_off).unsent == {"quiet_hours": 1}


def test_bounces_complaints_and_farewells_are_counted_once_a_message() -> None:
    mail = sent(0)
    whats: tuple[What, ...] = ("bounced", "complained", "unsubscribed")
    found = counts(mail, *(engaged(mail, what, HOUR * n) for what in whats for n in (1, 2)))
    assert (found.bounced, found.complained, found.unsubscribed) == (1, 1, 1)


def shop(buyers: int, held_buyers: int, message: str = "reminder") -> Ledger:
    """A hundred customers who got a message and a hundred who were held out at the same moment."""
    customers: list[list[AnyRow]] = []
    for bought, reason in ((buyers, ""), (held_buyers, "holdout")):
        customers += [[sent(0, message, reason=reason), *([order(HOUR)] if n < bought else [])] for n in range(100)]
    return ledger(*customers)


def test_the_holdout_says_what_would_have_been_bought_anyway() -> None:
    trial = shop(60, 30).trials[Place("cart")]
    treated, held = trial.together()
    assert (trial.treated, trial.held, treated.buyers, held.buyers) == (100, 100, 60, 30)
    line = next(line for line in report(shop(60, 30)).lines() if line.flow == "cart" and not line.message)
    assert line.lift is not None
    assert line.lift.conversion.estimate == pytest.approx(1.0)
    assert line.lift.proven
    assert line.lift.incremental_orders.estimate == pytest.approx(30)
    assert line.srm is not None
    assert line.srm.p_value == 1.0


def report(found: Ledger, holdout: float = 0.5) -> Report:
    return Report(found, currency="PLN", holdout=holdout, clock=TERMS.clock, delivers=False)


def test_a_holdout_of_another_size_than_configured_raises_an_alarm() -> None:
    lines = report(shop(60, 30), holdout=0.1).lines()
    assert all(line.srm is None or line.srm.alarm for line in lines)


def test_nobody_is_compared_before_her_window_is_over() -> None:
    early = replace(TERMS, clock=MONDAY + 2 * DAY_MS - 1)
    rows: list[AnyRow] = [sent(0), order(HOUR)]
    assert not ledger(rows, terms=early).trials[Place("cart")].weeks
    assert ledger(rows, terms=replace(early, clock=MONDAY + 2 * DAY_MS)).trials[Place("cart")].weeks


def test_whom_a_guard_before_the_holdout_stopped_was_never_drawn() -> None:
    for reason in ("no_address", "no_consent", "suppressed", "flow_stopped"):
        assert Place("cart") not in ledger([sent(0, reason=reason)]).trials
    assert ledger([sent(0, reason="cap")]).trials[Place("cart")].treated == 1


def test_a_later_message_is_not_compared_since_it_reaches_those_the_first_did_not_move() -> None:
    found = ledger([sent(0, "reminder"), sent(HOUR, "offer"), sent(2 * HOUR, "reminder")])
    assert set(found.trials) == {Place(), Place("cart"), Place("cart", "reminder")}
    assert found.trials[Place("cart")].treated == 1


def test_what_she_spent_before_is_known_for_cuped() -> None:
    [(treated, _)] = ledger([order(-HOUR, 700, "a"), sent(0), order(HOUR, 900, "b")]).trials[Place()].weeks.values()
    assert (treated.before, treated.spent, treated.products) == (700, 900, 630_000)


def test_weeks_begin_on_mondays() -> None:
    found = ledger([sent(-1)], [sent(0)], [sent(7 * DAY_MS - 1)], [sent(7 * DAY_MS)])
    weeks = [treated.customers for treated, _ in found.trials[Place()].weeks.values()]
    assert weeks == [1, 2, 1]
    [cohorts] = [each for each in report(found).cohorts() if each.flow == "cart"]
    assert [week.monday for week in cohorts.weeks] == ["2025-12-29", "2026-01-05", "2026-01-12"]


def test_arms_without_a_holdout_are_compared_with_the_first() -> None:
    chance = Random(5)
    customers: list[list[AnyRow]] = []
    for n in range(400):
        arm = ("a", "b")[n % 2]
        bought = chance.random() < (0.2, 0.6)[n % 2]
        mail = sent(0, experiment="subject", arm=arm, propensity=0.5)
        customers.append([mail, *([order(HOUR)] if bought else [])])
    by_arm = {line.arm: line for line in report(ledger(*customers)).lines() if line.arm and not line.message}
    assert by_arm["a"].lift is None
    assert by_arm["b"].lift is not None
    assert by_arm["b"].lift.against == "a"
    assert by_arm["b"].lift.proven
    assert by_arm["a"].srm is not None
    assert by_arm["a"].srm.counts == {"a": 200, "b": 200}


def test_who_got_nothing_in_an_arm_is_compared_all_the_same() -> None:
    customers: list[list[AnyRow]] = []
    for n in range(200):
        arm = ("nothing", "offer")[n % 2]
        drawn = Drawn(at=MONDAY, id="x", experiment="x", arm=arm, propensity=0.5)
        mail = [sent(0, experiment="x", arm=arm, propensity=0.5)] if arm == "offer" else []
        customers.append([drawn, *mail, *([order(HOUR)] if n % 4 == 1 else [])])
    terms = replace(TERMS, experiments={"x": "cart"})
    found = report(ledger(*customers, terms=terms)).lines()
    nothing, offer = (line for line in found if line.arm and not line.message)
    assert (nothing.sent, nothing.lift) == (0, None)
    assert offer.lift is not None
    assert (offer.lift.against, offer.lift.control, offer.lift.control_converted) == ("nothing", 100, 0)


def test_who_was_drawn_anew_is_not_compared_in_the_arm_that_was_taken_out() -> None:
    drawn = Drawn(at=MONDAY + DAY_MS, id="x", experiment="x", arm="a", propensity=0.5)
    found = ledger(
        [sent(0, experiment="x", arm="b", propensity=0.5), drawn], terms=replace(TERMS, experiments={"x": "cart"})
    )
    lines = {line.arm: line for line in report(found).lines() if line.arm and not line.message}
    assert (lines["b"].sent, lines["b"].lift, lines["a"].lift) == (1, None, None)


SINCE = replace(TERMS, since=MONDAY + DAY_MS)


def test_who_came_before_is_not_compared_from_her_second_message_on() -> None:
    rows: list[AnyRow] = [sent(0), sent(2 * DAY_MS, "offer"), sent(2 * DAY_MS - 1, "a", "news"), order(3 * DAY_MS)]
    found = ledger(rows, [sent(DAY_MS)], terms=SINCE)
    assert found.trials[Place()].treated == found.trials[Place("cart")].treated == 1
    assert found.trials[Place("news")].treated == 1
    assert Place("cart", "offer") not in found.trials
    assert (found.counts[Place("cart", "offer")].sent, found.counts[Place("cart", "offer")].orders) == (1, 1)
    assert Place("cart", "reminder") in found.trials


def test_an_order_after_an_earlier_message_is_not_the_doing_of_what_is_counted() -> None:
    early, late = sent(DAY_MS - 1), sent(DAY_MS)
    found = counts(early, late, engaged(early, "clicked", HOUR), order(DAY_MS + 2 * HOUR), terms=SINCE)
    assert (found.sent, found.clicked, found.converted, found.orders) == (1, 0, 0, 0)


def test_a_message_put_off_before_and_sent_since_is_counted() -> None:
    mail = structs.replace(sent(0), at=MONDAY + DAY_MS, id="later")
    assert counts(sent(0, reason="quiet_hours"), mail, terms=SINCE).sent == 1
    assert counts(sent(0, reason="quiet_hours"), terms=SINCE).unsent == {}


def test_who_came_to_an_experiment_before_is_in_no_arm_of_those_who_came_since() -> None:
    terms = replace(SINCE, experiments={"x": "cart"})

    def drawn(at: int) -> Drawn:
        return Drawn(at=MONDAY + at, id="x", experiment="x", arm="a", propensity=0.5)

    def mail(at: int) -> AnyRow:
        return sent(at, experiment="x", arm="a", propensity=0.5)

    both = [drawn(0), mail(0), mail(2 * DAY_MS)]
    found = ledger(both, [mail(0), mail(2 * DAY_MS)], [mail(0), drawn(2 * DAY_MS)], [drawn(DAY_MS)], terms=terms)
    assert found.arms[Place("cart", experiment="x")].drawn == {"a": 1}
    assert Place("cart", experiment="x", arm="a") not in found.trials


def held_by_the_flow(at: int) -> AnyRow:
    return structs.replace(sent(at, reason="holdout"), held="flow")


def test_a_flows_own_holdout_is_compared_without_those_whom_the_shop_holds_out() -> None:
    own = replace(TERMS, own_holdouts={"cart"})
    found = ledger([sent(0)], [held_by_the_flow(0)], [sent(0, reason="holdout")], [sent(0)], terms=own)
    assert (found.trials[Place("cart")].treated, found.trials[Place("cart")].held) == (2, 1)
    assert (found.trials[Place()].treated, found.trials[Place()].held) == (3, 1)


def test_an_arm_everybody_comes_to_is_compared_with_the_holdout() -> None:
    rows: list[list[AnyRow]] = [
        [sent(0, arm="a", experiment="x", propensity=0.5)],
        [sent(0, arm="b", experiment="x", propensity=0.5)],
        [sent(0, reason="holdout")],
    ]
    against = {line.arm: line.lift.against for line in report(ledger(*rows)).lines() if line.arm and line.lift}
    assert against == {"a": "holdout", "b": "holdout"}
    rows.append([sent(0, "another")])
    against = {line.arm: line.lift.against for line in report(ledger(*rows)).lines() if line.arm and line.lift}
    assert against == {"b": "a"}


def test_a_robot_with_a_million_orders_is_counted_up_to_a_bound() -> None:
    found = ledger([sent(0), *(order(HOUR + n, 1, f"o{n}") for n in range(ROWS_MAX + 5))])
    assert found.cut == 1
    assert found.counts[Place("cart")].orders == ROWS_MAX - 1
