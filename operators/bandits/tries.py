"""What choices came to, out of what is known of a customer: one try for each passage that was sent something.

A try is rewarded when a person clicks in one of the arm's messages, or when the customer orders, within the time that
the choice gives it, counted from the first of those messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from operators.bandits.contexts import Try
from operators.bandits.learning import Learning
from operators.measuring.mails import Mail, clicks, mails_of
from operators.measuring.orders import settled
from operators.measuring.rows import AnyRow, Ordered


class Tried(NamedTuple):
    """A try of a choice, and how probable it was.  `id` is the passage, so that tries have an order."""

    choice: str
    one: Try
    propensity: float
    id: str


def tried(rows: Sequence[AnyRow], learns: Mapping[str, Learning], *, delivers: bool) -> Iterator[Tried]:
    """The tries of one customer, given all her rows in order of time, by the choices' ways of learning.

    Where results of couriers are known (`delivers`), what nobody accepted was not tried.
    """
    passages: dict[tuple[str, str], list[Mail]] = {}
    for mail in mails_of(rows):
        first = mail.first
        if first.experiment in learns and mail.sent_at is not None and (mail.accepted_at is not None or not delivers):
            passages.setdefault((first.experiment, first.passage), []).append(mail)
    orders = [order.at for order in settled(row for row in rows if isinstance(row, Ordered))] if passages else []
    for (choice, passage), mails in passages.items():
        first, learning = mails[0].first, learns[choice]
        at = min(mail.sent_at for mail in mails if mail.sent_at is not None)
        until = at + learning.within_ms
        answers = orders if learning.reward == "order" else [each for mail in mails for each in clicks(mail)]
        rewarded = any(at < answer <= until for answer in answers)
        yield Tried(choice, Try(first.arm, first.context, at, rewarded), first.propensity or 0.0, passage)
