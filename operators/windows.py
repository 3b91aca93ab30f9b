"""Windows over a customer's events: how many, how much, which, within a time.  Declared once, as values:

    views = sliding("views", on=ProductViewed, over=days(30), keep=count())
    WINDOWS = [views]

and read wherever a customer is at hand: `views.of(customer, now)`.  Only what is listed in `WINDOWS` is kept.

**Time.**  Windows run on event time.  Each knows the newest event it has taken of each customer; one older than that
by more than `grace` is left out, all others count the same in whatever order they come.  `now` is exact for the
newest event and later, and for moments up to `grace` before it as far as each kind of window says.

**Changes.**  `over`, `grace` and the bounds can be edited freely, and reach back as far as was kept.  What changes the
meaning of what was kept (the event, `where`, `keep`, its selector's name, the size of the panes, `gap`) starts the
window empty for each customer at her next event, and reads as empty until then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, TypeVar

from operators.faults import FlowError, expect, shown
from operators.keep import Keep, Seen
from operators.keeps import count, distinct, last, max_of, min_of, sum_of, sum_of_money
from operators.panes import Sliding, Tumbling
from operators.sessions import Session
from operators.steps import IN_TIME, hours
from operators.window import Window, report
from state.customer import Customer
from state.events import Event

__all__ = [
    "Keep",
    "Seen",
    "Session",
    "Sliding",
    "Tumbling",
    "Window",
    "check_windows",
    "count",
    "describe",
    "distinct",
    "fold",
    "last",
    "max_of",
    "min_of",
    "session",
    "sliding",
    "sum_of",
    "sum_of_money",
    "tumbling",
]

E = TypeVar("E", bound=Event)
V = TypeVar("V")
Where = Callable[[E], bool]
GRACE = hours(1)


def sliding(
    name: str,
    *,
    on: type[E],
    over: timedelta,
    keep: Keep[E, V],
    where: Where[E] | None = None,
    each: timedelta | None = None,
    grace: timedelta | None = None,
) -> Sliding[V]:
    """The events of the last `over`, kept in panes of `each` (default: a round time, at most a 24th of `over`).

    `grace` is an hour by default, or `over` where that is shorter.  Raises `FlowError`.
    """
    _check_kinds(name, on, keep, over=over)
    return Sliding(name, on, where, keep, min(GRACE, over) if grace is None else grace, over=over, each=each)


def tumbling(
    name: str,
    *,
    on: type[E],
    every: timedelta,
    keep: Keep[E, V],
    where: Where[E] | None = None,
    back: int = 1,
    grace: timedelta | None = None,
) -> Tumbling[V]:
    """The events of the present period, and of `back` periods before it.

    Periods follow one another without end from Monday, 1970-01-05 00:00 UTC: `days(7)` are calendar weeks, `days(1)`
    days in UTC.  `grace` is an hour by default, or `every` where that is shorter.  Raises `FlowError`.
    """
    _check_kinds(name, on, keep, every=every)
    return Tumbling(name, on, where, keep, min(GRACE, every) if grace is None else grace, every=every, back=back)


def session(
    name: str,
    *,
    on: type[E],
    gap: timedelta,
    keep: Keep[E, V],
    where: Where[E] | None = None,
    grace: timedelta | None = None,
) -> Session[V]:
    """The events of her present visit: each less than `gap` after the one before.

    `grace` is an hour by default, or `gap` where that is shorter.  Raises `FlowError`.
    """
    _check_kinds(name, on, keep, gap=gap)
    return Session(name, on, where, keep, min(GRACE, gap) if grace is None else grace, gap=gap)


def _check_kinds(name: str, on: object, keep: object, **times: object) -> None:
    place = f'window "{name}"'
    if not (isinstance(on, type) and issubclass(on, Event)):
        raise FlowError(f"{place}: on is {shown(on)}, no kind of event. Name a class of them, such as ProductViewed.")
    expect(f"{place}: keep", keep, Keep, "Write what to keep of them, such as count().")
    for argument, time in times.items():
        expect(f"{place}: {argument}", time, timedelta, IN_TIME)


def fold(windows: Sequence[Window], customer: Customer, event: Event) -> None:
    """Take an event into every window it belongs to.  Never raises: where a selector does, that is logged, and the
    event left out of its window."""
    kinds = _KINDS.get(type(event)) or _kinds(type(event))
    for window in windows:
        if window.on in kinds:
            try:
                window.fold(customer, event)
            except Exception as error:
                report(window, error)
    if len(customer.windows) > len(windows):
        declared = {window.name for window in windows}
        for name in [name for name in customer.windows if name not in declared]:
            del customer.windows[name]


_KINDS: dict[type, frozenset[type]] = {}


def _kinds(kind: type) -> frozenset[type]:
    """All that an event of this class is; asking a class of events for its instances takes four times as long."""
    return _KINDS.setdefault(kind, frozenset(kind.__mro__))


def check_windows(windows: Sequence[object]) -> None:
    """Raise `FlowError` where the list of a deployment's windows cannot be used."""
    if not isinstance(windows, list | tuple):
        raise FlowError(f"WINDOWS is {shown(windows)}. Write a list of them, also of one: WINDOWS = [views].")
    names: set[str] = set()
    for window in windows:
        if not isinstance(window, Window):
            raise FlowError(
                f"WINDOWS holds a {type(window).__name__}. It takes sliding(…), tumbling(…) and session(…)."
            )
        if window.name in names:
            raise FlowError(f'There are two windows "{window.name}". They are kept by name, so each needs its own.')
        names.add(window.name)


def describe(windows: Sequence[Window], customer: Customer, now: int) -> dict[str, Any]:
    """What each window says of a customer at this moment (ms), as JSON can say it."""
    return {window.name: window.plain(customer, now) for window in windows}
