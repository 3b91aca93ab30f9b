"""A customer's rows put together by message: what was decided, what couriers told, what she did with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from operators.measuring.people import by_people
from operators.measuring.rows import AnyRow, Decided, Delivered, Engaged


@dataclass(slots=True)
class Mail:
    """A message, over all that was decided about it."""

    first: Decided
    last: Decided
    sent_at: int | None = None
    accepted_at: int | None = None
    engaged: list[Engaged] = field(default_factory=list)
    touches: list[int] = field(default_factory=list)
    orders: int = 0

    @property
    def at(self) -> int:
        """When it was sent; if it was not, when that was decided last."""
        return self.last.at if self.sent_at is None else self.sent_at


def mails_of(rows: Sequence[AnyRow]) -> Iterable[Mail]:
    """The messages of one customer, given all her rows in order of time."""
    mails: dict[str, Mail] = {}
    for row in rows:
        if isinstance(row, Decided):
            mail = mails.setdefault(row.message_id, Mail(row, row))
            mail.last = row
            if row.outcome == "send" and mail.sent_at is None:
                mail.sent_at = row.at
    for other in rows:
        if isinstance(other, Delivered) and other.message_id in mails:
            mails[other.message_id].accepted_at = other.at
        elif isinstance(other, Engaged) and other.message_id in mails:
            mails[other.message_id].engaged.append(other)
    return mails.values()


def read_by_people(mail: Mail) -> list[Engaged]:
    """Opens and clicks of a person, in order of time."""
    seen = [each for each in mail.engaged if each.what in ("opened", "clicked")]
    return [each for each, human in zip(seen, by_people(seen, mail.accepted_at), strict=True) if human]


def clicks(mail: Mail) -> list[int]:
    """When a person clicked in it."""
    return [each.at for each in read_by_people(mail) if each.what == "clicked"]
