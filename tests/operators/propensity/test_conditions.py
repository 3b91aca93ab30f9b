"""What is foretold, asked by flows: of a customer's own record, at the moment it matters, of one model."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from math import log
from typing import Any

import pytest

from operators.draw import mermaid
from operators.flow import Flow, FlowError, Template, at, days, hours, leave, on, send, split, wait, wait_until, when
from operators.program import Program, version
from operators.propensity.conditions import her_hour, likely_to_buy, likely_to_spend, likely_to_stay_away
from operators.propensity.forecasts import Forecasts
from operators.propensity.habits import Habits, fold
from operators.propensity.linear import Linear
from operators.propensity.window import habits
from operators.simulate import Simulation, simulate
from state import customer as customers
from state.customer import Customer
from state.events import Event, OrderCompleted, ProductAdded, ProductViewed
from state.money import Money
from tests.operators.propensity.shops import T0, cart, view

TWO_HOURS, HALF_AN_HOUR = hours(2), timedelta(minutes=30)
# Who looked twice buys; who has been away for a week does not.
MODEL = Forecasts(
    number=7, buys=Linear({"views<3": 4.0, "since_h<336": -8.0}, intercept=-2.0, outcomes=1), stays_away=Linear()
)


def words(event: ProductAdded, customer: Customer) -> Mapping[str, Any]:
    return {}


reminder: Template[ProductAdded] = Template("reminder", words)


def patient(rest: timedelta = TWO_HOURS, at_least: float = 0.5) -> Flow[ProductAdded]:
    """Those who will buy anyway are left in peace."""
    return Flow(
        "patient",
        enter=on(ProductAdded),
        steps=[
            wait("rest", rest),
            split(when(likely_to_buy(at_least=at_least), leave), otherwise=[send(reminder)]),
        ],
    )


def left_a_cart(flow: Flow[ProductAdded], forecasts: Forecasts | None, *, views: int) -> Simulation:
    played = simulate(flow, windows=[habits], forecasts=forecasts)
    for number in range(views):
        played = played.at(timedelta(minutes=number), ProductViewed(product_id="p"))
    return played.at(hours(1), ProductAdded(product_id="p"))


def test_who_is_likely_to_buy_gets_no_reminder() -> None:
    assert left_a_cart(patient(), MODEL, views=2).play_out() == []
    assert [told.message for told in left_a_cart(patient(), MODEL, views=1).play_out()] == ["reminder"]


def test_it_is_asked_for_the_moment_after_the_wait() -> None:
    assert [told.message for told in left_a_cart(patient(days(8)), MODEL, views=2).play_out()] == ["reminder"]


def test_without_a_model_nobody_is_likely() -> None:
    assert [told.message for told in left_a_cart(patient(), None, views=2).play_out()] == ["reminder"]
    unlearnt = Forecasts(number=1)
    assert [told.message for told in left_a_cart(patient(at_least=0.1), unlearnt, views=2).play_out()] == ["reminder"]


def test_it_is_explained_and_drawn_with_its_value_and_its_model() -> None:
    timeline = left_a_cart(patient(), MODEL, views=2).timeline()
    [asked] = [entry for entry in timeline if entry.what == "condition"]
    assert (asked.name, asked.value, asked.detail) == ("likely_to_buy(at_least=0.5)", True, "model 7")
    assert "likely_to_buy(at_least=0.5)" in mermaid(patient())


def test_another_threshold_is_another_version_and_the_same_one_is_not() -> None:
    assert version(patient()) == version(patient())
    assert version(patient()) != version(patient(at_least=0.4))


def test_a_flow_that_asks_of_habits_nobody_keeps_is_refused() -> None:
    with pytest.raises(FlowError, match="WINDOWS"):
        Program([patient()])


def test_whoever_comes_in_does_not_depend_on_a_forecast() -> None:
    with pytest.raises(FlowError, match="split"):
        on(ProductAdded, where=likely_to_buy(at_least=0.3))


BIG = Forecasts(number=2, basket=Linear({}, intercept=log(20_000), outcomes=1))


def generous(at_least: int) -> Flow[ProductAdded]:
    return Flow(
        "generous",
        enter=on(ProductAdded),
        steps=[
            wait("rest", TWO_HOURS),
            split(when(likely_to_spend(at_least=at_least), send(reminder)), otherwise=[leave]),
        ],
    )


def test_who_is_to_spend_enough_is_written_to() -> None:
    assert [told.message for told in left_a_cart(generous(19_999), BIG, views=1).play_out()] == ["reminder"]
    assert left_a_cart(generous(20_001), BIG, views=1).play_out() == []
    assert left_a_cart(generous(1), None, views=1).play_out() == []
    with pytest.raises(FlowError, match="minor units"):
        likely_to_spend(at_least=0)


def at_her_hour() -> Flow[ProductAdded]:
    return Flow("timely", enter=on(ProductAdded), steps=[wait_until("her_hour", her_hour()), send(reminder)])


def evening(hour: int) -> Forecasts:
    return Forecasts(number=3, hours=tuple(1.0 if each == hour else 0.0 for each in range(24)))


def wait_of(forecasts: Forecasts | None) -> timedelta:
    """Of who comes on a Monday at half past twelve (UTC)."""
    played = simulate(at_her_hour(), windows=[habits], forecasts=forecasts)
    [told] = played.at(HALF_AN_HOUR, ProductAdded(product_id="p")).play_out()
    return told.after - HALF_AN_HOUR


@pytest.mark.parametrize(("hour", "ahead"), [(20, 7.5), (13, 0.5), (11, 22.5), (0, 11.5)])
def test_a_message_waits_for_the_hour_in_which_she_comes(hour: int, ahead: float) -> None:
    rest = wait_of(evening(hour))
    assert hours(ahead) < rest < hours(ahead + 1), "not on the stroke, where all would come at once"


def test_in_her_hour_and_without_a_model_nobody_waits() -> None:
    assert wait_of(evening(12)) == wait_of(None) == timedelta(0)


def test_her_hour_is_explained_with_its_model_and_wants_habits() -> None:
    played = simulate(at_her_hour(), windows=[habits], forecasts=evening(20))
    timeline = played.at(hours(1), ProductAdded(product_id="p")).timeline()
    [moment] = [entry for entry in timeline if entry.what == "moment"]
    assert (moment.name, moment.detail) == ("her_hour", "model 3")
    assert "her_hour" in mermaid(at_her_hour())
    with pytest.raises(FlowError, match="WINDOWS"):
        Program([at_her_hour()])
    other = Flow("timely", enter=on(ProductAdded), steps=[wait_until("her_hour", at(9)), send(reminder)])
    assert version(at_her_hour()) == version(at_her_hour()) != version(other)


@pytest.mark.parametrize("at_least", [0.0, 1.0, 30.0])
def test_a_chance_lies_between_nothing_and_certainty(at_least: float) -> None:
    with pytest.raises(FlowError, match="between 0 and 1"):
        likely_to_stay_away(at_least=at_least)


def test_a_customers_record_keeps_the_same_habits_as_the_learner() -> None:
    happened: list[Event] = [view(T0), cart(T0 + 60_000), OrderCompleted(at=T0 + 90_000, total=Money(5_000, "PLN"))]
    learnt, customer = Habits(), Customer(id="anna")
    for event in happened:
        fold(learnt, event)
        habits.fold(customer, event)
        customer = customers.decode(customers.encode(customer))
    assert habits.of(customer) == learnt
    assert learnt.value == 5_000


def test_who_turns_out_to_be_known_takes_her_habits_along() -> None:
    known, anonymous = Customer(id="anna"), Customer(id="a-1")
    habits.fold(known, view(T0))
    habits.fold(anonymous, cart(T0 + 3_600_000))
    habits.join(known, anonymous.windows["habits"])
    assert (habits.of(known).views, habits.of(known).carts, habits.of(known).visits) == (1, 1, 2)
