"""What a customer did, written the way one would tell it."""

from __future__ import annotations

from operators.measuring.account import DAY_MS, Terms, account
from operators.measuring.ledger import Counts, Ledger, Place
from operators.measuring.rows import AnyRow, Decided, Delivered, Engaged, Ordered, Said, What

MONDAY = 1_767_571_200_000  # 2026-01-05
SECOND, MINUTE, HOUR = 1_000, 60_000, 3_600_000
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
TERMS = Terms(windows={"cart": 2 * DAY_MS}, currency="PLN", clock=MONDAY + 90 * DAY_MS, delivers=False)


def sent(
    at: int, message: str = "reminder", flow: str = "cart", *, reason: str = "", kind: str = "marketing", **more: object
) -> Decided:
    """A message; with a reason, one that was not sent.  `at` in milliseconds after Monday."""
    id = f"{flow}/{message}/{at}"
    return Decided(
        at=MONDAY + at,
        id=id,
        message_id=id,
        flow=flow,
        message=message,
        outcome="skip" if reason else "send",
        reason=reason,
        held="shop" if reason == "holdout" else "",
        marketing=kind == "marketing",
        **more,  # type: ignore[arg-type]
    )


def accepted(mail: Decided, after: int = 0) -> Delivered:
    return Delivered(at=mail.at + after, id=mail.message_id, message_id=mail.message_id)


def engaged(mail: Decided, what: What, after: int, url: str = "", user_agent: str = IPHONE) -> Engaged:
    return Engaged(
        at=mail.at + after,
        id=f"{what}{after}{url}",
        message_id=mail.message_id,
        what=what,
        url=url,
        user_agent=user_agent,
    )


def order(
    at: int,
    minor: int | None = 10_000,
    id: str = "o1",
    what: Said = "completed",
    currency: str = "PLN",
) -> Ordered:
    return Ordered(at=MONDAY + at, id=f"{id}{what}{at}", order_id=id, what=what, minor=minor, currency=currency)


def ledger(*customers: list[AnyRow], terms: Terms = TERMS) -> Ledger:
    """These customers added up."""
    added = Ledger()
    for rows in customers:
        account(sorted(rows, key=lambda row: (row.at, row.id)), terms, added)
    return added


def counts(*rows: AnyRow, flow: str = "cart", terms: Terms = TERMS) -> Counts:
    """What one customer adds to a flow's line."""
    return ledger(list(rows), terms=terms).counts[Place(flow)]
