"""What is noted of an input, and what goes without saying."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from operators.memory import Taken, in_order
from state.arrivals import LATE_MAX, Arrivals, Late, arrive
from state.events import Event, ProductViewed
from state.records import TopicPartition

CLICKS, ORDERS = TopicPartition("clickstream", 0), TopicPartition("orders", 0)


def came(*inputs: tuple[TopicPartition, int, int, int], woken: int = 0, due: int = 90) -> Arrivals:
    """(partition, offset, when it entered the log, when it happened) of each."""
    found: Arrivals | None = None
    for tp, offset, key, at in inputs:
        found = arrive(found, (*tp, offset), key=key, at=at, is_late=at <= woken, due=lambda: due)
    assert found is not None
    return found


def test_what_comes_as_the_log_has_it_is_not_noted() -> None:
    assert came((CLICKS, 0, 10, 5), (CLICKS, 1, 10, 6), (ORDERS, 0, 11, 7), (CLICKS, 2, 12, 8)).late == []


def test_what_comes_later_than_the_log_has_it_is_noted_with_what_came_before() -> None:
    found = came((CLICKS, 0, 10, 5), (CLICKS, 1, 20, 6), (ORDERS, 0, 15, 7))
    assert found.late == [Late(("orders", 0, 0), 90, ("clickstream", 0, 1))]


def test_what_comes_after_a_wait_that_should_have_waited_for_it_is_noted() -> None:
    assert came((CLICKS, 0, 10, 5), woken=5).late == [Late(("clickstream", 0, 0), 90, None)]
    assert came((CLICKS, 0, 10, 6), woken=5).late == []


def test_what_happened_before_something_that_has_come_is_noted() -> None:
    """Whether that was held until then depends on how far the clock had come."""
    found = came((CLICKS, 0, 10, 7), (CLICKS, 1, 11, 6))
    assert found.late == [Late(("clickstream", 0, 1), 90, None)]
    assert came((CLICKS, 0, 10, 7), (CLICKS, 1, 11, 7)).late == []  # of one moment, the partition has the order
    assert len(came((CLICKS, 0, 10, 7), (ORDERS, 0, 11, 7)).late) == 1


def test_of_what_one_record_brings_the_first_is_noted() -> None:
    inputs = (CLICKS, 0, 10, 5), (CLICKS, 1, 20, 6), (ORDERS, 0, 15, 7)
    assert came(*inputs, inputs[-1]).late == came(*inputs).late


def test_only_so_much_is_noted() -> None:
    found = came(*((CLICKS, n, n, 1_000 - n) for n in range(200)))
    assert [late.place[2] for late in found.late] == list(range(200 - LATE_MAX, 200))


@given(data=st.data())
def test_from_log_and_notes_the_order_of_arrival_is_found_again(data: st.DataObject) -> None:
    """Of three partitions, however the records of one follow those of another, and whatever their times."""
    parts = [TopicPartition("clickstream", 0), TopicPartition("clickstream", 1), TopicPartition("orders", 0)]
    small = st.integers(0, 9)
    live = data.draw(st.booleans())
    logs: list[list[Taken]] = []
    for tp in parts:
        walls = sorted(data.draw(st.lists(small, max_size=8)))
        logs.append([Taken(wall, *tp, n, viewed(tp, n, data.draw(small))) for n, wall in enumerate(walls)])
    arrived: list[Taken] = []
    while any(logs):
        arrived.append(data.draw(st.sampled_from([log for log in logs if log])).pop(0))
    found: Arrivals | None = None
    for taken in arrived:
        at = taken.at or 0
        key = taken.wall if live else at
        found = arrive(found, taken.place, key=key, at=at, is_late=False, due=lambda: 0)
    late = found.late if found is not None else []
    assert in_order(sorted(arrived, key=lambda each: each.place), live=live, late=late) == arrived


def viewed(tp: TopicPartition, offset: int, at: int) -> Event:
    return ProductViewed(id=f"{tp.topic}-{tp.partition}-{offset}", customer="anna", at=at, product_id="p1")
