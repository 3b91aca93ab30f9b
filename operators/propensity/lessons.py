"""What the comings and goings of visitors teach.

A visit that ended raises a question: will she order within 7 days, will she stay away for 60?  It is put again as her
absence grows, and kept, with her habits as they were then, until its time is over.  An early answer waits as long: were
a yes learnt from at once and a no after a week, the model would hear of more buyers than there are (docs/decisions).
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from operators.propensity import becoming
from operators.propensity.contest import Contest, Standing, Target
from operators.propensity.features import features
from operators.propensity.forecasts import Forecasts
from operators.propensity.habits import DAY_MS, HOUR_MS, VISIT_MS, fold, is_coming, value_of
from operators.propensity.linear import Linear
from operators.propensity.online import Amount, Chance
from operators.propensity.visitors import NEVER, QUESTIONS_MAX, Question, Visitor, Visitors
from state import events as ev
from state.events import Event

BUYS_MS, STAYS_MS = 7 * DAY_MS, 60 * DAY_MS
REMEMBERED_MS = 60 * DAY_MS  # who became whom, since it was said last
AGES_MS = (VISIT_MS, DAY_MS, 7 * DAY_MS, 28 * DAY_MS)  # of an absence, when a question is put
OnAnswer = Callable[[Target, Question, bool], None]
_HOURS_FADE = 1e-4


class Notes(msgspec.Struct, kw_only=True):
    """All that was learnt but the visitors.  Fields are only ever added, with a default."""

    buys: Linear = Linear()
    stays_away: Linear = Linear()
    basket: Linear | None = None
    hours: list[float] = msgspec.field(default_factory=lambda: [1 / 24] * 24)
    share: int = 1 << 32
    clock: int = 0
    standing: Standing = msgspec.field(default_factory=Standing)


class Lessons:
    """`who` is a keyed hash; amounts are in `currency`, orders in others teach no amounts.

    `on_answer` hears every answer before it is learnt from.
    """

    def __init__(self, currency: str, notes: Notes | None = None, *, on_answer: OnAnswer | None = None) -> None:
        notes = notes or Notes()
        self._on_answer = on_answer
        self._currency = currency
        self.buys, self.stays_away = Chance(notes.buys), Chance(notes.stays_away)
        self.basket = Amount(notes.basket)
        self._hours = list(notes.hours)
        self.visitors = Visitors(share=notes.share)
        self._clock = notes.clock
        self.contest = Contest(notes.standing)

    def take(self, who: bytes, event: Event) -> None:
        if not is_coming(event):
            return
        visitor = self.visitors.get(who)
        if visitor is None:
            return
        habits, at = visitor.habits, event.at
        if visitor.due < at:
            self._settle(visitor, at - 1)
        is_visit = not habits.visits or at - habits.last_at >= VISIT_MS
        if is_visit:
            self._came(visitor, at)
        if isinstance(event, ev.OrderCompleted):
            self._ordered(visitor, event)
        fold(habits, event)
        if is_visit:
            visitor.asked = 0
            self._mark_hour(at)
            # Within a visit only the end of it moves: to look too early is to look once more.
            self.visitors.look_at(who, visitor, _next_due(visitor))

    def become(self, who: bytes, was: bytes, at: int) -> bool:
        """She says that this visitor was she all along; whether that is heard."""
        known, other = self.visitors.get(who), self.visitors.get(was)
        if other is None:
            return True
        if known is None:
            # Who is not learnt from gives no answers to what was asked about her other id.
            self.visitors.forget(was)
            return True
        if who == was or known.of or not becoming.may_become(other, who):
            return False
        for each in (known, other):
            if each.due < at:
                self._settle(each, at - 1)
        becoming.join(known, other)
        known.known, other.of = True, who
        self.visitors.look_at(was, other, at + REMEMBERED_MS)
        due = _next_due(known)
        self.visitors.look_at(who, known, due if due != NEVER else at + REMEMBERED_MS)
        return True

    def pass_time(self, clock: int) -> None:
        """All that happened up to this moment (ms, event time) was taken: what did not come by now did not come."""
        if clock <= self._clock:
            return
        self._clock = clock
        for who, visitor in self.visitors.all_due(clock):
            self._settle(visitor, clock)
            due = _next_due(visitor)
            if due == NEVER:
                self.visitors.forget(who)
            else:
                self.visitors.look_at(who, visitor, due)

    def forecasts(self) -> Forecasts:
        """What is known now, as a value."""
        return Forecasts(
            at=self._clock,
            buys=self.buys.export(),
            stays_away=self.stays_away.export(),
            basket=self.basket.export(),
            hours=tuple(self._hours),
        )

    def notes(self) -> Notes:
        now = self.forecasts()
        return Notes(
            buys=now.buys,
            stays_away=now.stays_away,
            basket=now.basket if now.basket.outcomes else None,
            hours=self._hours,
            share=self.visitors.share,
            clock=self._clock,
            standing=self.contest.standing,
        )

    # -- questions and answers

    def _settle(self, visitor: Visitor, clock: int) -> None:
        """Put the questions whose moment has passed, and answer those whose time is over."""
        habits = visitor.habits
        while visitor.asked < len(AGES_MS) and habits.visits and habits.last_at + AGES_MS[visitor.asked] <= clock:
            at = habits.last_at + AGES_MS[visitor.asked]
            if len(visitor.questions) < QUESTIONS_MAX:
                visitor.questions.append(Question(at, msgspec.structs.replace(habits)))
            visitor.asked += 1
        for question in visitor.questions:
            if not question.told_buys and question.at + BUYS_MS <= clock:
                self._learn_buys(question)
            if not question.told_stays and question.at + STAYS_MS <= clock:
                self._learn_stays(question)
        visitor.questions = [each for each in visitor.questions if not (each.told_buys and each.told_stays)]

    def _came(self, visitor: Visitor, at: int) -> None:
        for question in visitor.questions:
            if not question.told_stays and question.at <= at:
                question.came = True

    def _ordered(self, visitor: Visitor, order: ev.OrderCompleted) -> None:
        for question in visitor.questions:
            if not question.told_buys and question.at <= order.at:
                question.bought = True
        habits, worth = visitor.habits, value_of(order)
        if habits.visits and worth > 0 and order.total is not None and order.total.currency == self._currency:
            self.basket.learn(features(habits, max(order.at, habits.last_at)), worth)

    def _learn_buys(self, question: Question) -> None:
        question.told_buys = True
        self._learn("buys", self.buys, question, question.bought)

    def _learn_stays(self, question: Question) -> None:
        question.told_stays = True
        self._learn("stays_away", self.stays_away, question, not question.came)

    def _learn(self, target: Target, model: Chance, question: Question, came: bool) -> None:
        if self._on_answer is not None:
            self._on_answer(target, question, came)
        seen = features(question.habits, question.at)
        self.contest.judge(target, seen, model.learn(seen, came), came)

    def _mark_hour(self, at: int) -> None:
        hours = self._hours
        for hour in range(24):
            hours[hour] *= 1.0 - _HOURS_FADE
        hours[at // HOUR_MS % 24] += _HOURS_FADE


def _next_due(visitor: Visitor) -> int:
    dues = [question.at + BUYS_MS for question in visitor.questions if not question.told_buys]
    dues += [question.at + STAYS_MS for question in visitor.questions if not question.told_stays]
    if visitor.habits.visits and visitor.asked < len(AGES_MS):
        dues.append(visitor.habits.last_at + AGES_MS[visitor.asked])
    return min(dues, default=NEVER)
