"""Two visitors turn out to be one: what both did, and what was asked about either, is hers.

Where the known one did nothing before, as is usual, it is exactly what the same events would have taught under her id.
"""

from __future__ import annotations

from operators.propensity.habits import Habits, joined
from operators.propensity.visitors import QUESTIONS_MAX, Question, Visitor
from state.aliases import CLAIMERS_MAX


def may_become(other: Visitor, who: bytes) -> bool:
    """Whether a claim on this visitor is heard: not where she is known, nor where too many claimed her."""
    if other.known or other.of == who:
        return not other.known
    other.claims += 1
    if other.claims > CLAIMERS_MAX:
        # So many people are not one: what it does from here on is nobody's but its own.
        other.of, other.known = b"", True
    return not other.known


def join(known: Visitor, other: Visitor) -> None:
    """Nothing is left with the other."""
    for question in known.questions:
        _answer(question, other.habits)
    for question in other.questions:
        _answer(question, known.habits)
    if other.habits.visits:
        if not known.habits.visits:
            known.habits, known.asked = other.habits, other.asked
        else:
            if other.habits.last_at > known.habits.last_at:
                known.asked = other.asked
            known.habits = joined(known.habits, other.habits)
    questions = sorted([*known.questions, *other.questions], key=lambda each: each.at)
    known.questions = questions[:QUESTIONS_MAX]
    other.habits, other.questions, other.asked = Habits(), [], 0


def _answer(question: Question, habits: Habits) -> None:
    """What the other one did since is an answer, too."""
    if not question.told_stays and question.at <= habits.last_at:
        question.came = True
    if not question.told_buys and question.at <= habits.last_order_at:
        question.bought = True
