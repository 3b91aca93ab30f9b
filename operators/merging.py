"""Two records of one customer become one: what was known of an anonymous id goes to whom it turned out to be.

The rule for each kind of data is told in docs/identity.md.  Where it can be, what comes out is what the same events
would have left behind under the known id from the start.  The anonymous record is used up.  Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from operators import joining, merging_carts, merging_passages
from operators.limits import SENT_MAX
from operators.observe import ALL, DEVICES_MAX, SUPPRESSED_MAX
from operators.program import Program
from operators.recommender.histories import history_of
from operators.recommender.shown import came_since, together
from state import customer as customers
from state.aliases import Link
from state.customer import EARLY_RESULTS_MAX, RECENT_IDS_MAX, Aside, Consent, Customer, Sent, Traits
from state.events import Event
from state.messages import Delivery
from state.orders import BOUGHT_MAX, ORDERS_MAX, TIMES_MAX, Order
from state.products import INTERESTS_MAX, WORDS_MAX, Interest


def take_in(known: Customer, link: Link, program: Program) -> tuple[list[Event], list[str]]:
    """The moment of a merge has come: the facts that follow, and the messages that came along."""
    state = joining.taken_in(known, link)
    if not state:
        return [], []
    other = customers.decode(state)
    if not other.held:  # else it remembers also what it held, as it was said once
        link.twice = b"".join(sorted(set(known.recent_hashes) & set(other.recent_hashes)))
    facts = merge(known, other, program)
    link.brought = [each.message_id for each in other.pending]
    if link.again:
        again = customers.decode(link.again)
        merging_passages.tell_again(known, link.brought, again.pending)
        _early_results(known, again)
        link.again = b""
    return facts, link.brought


def merge(known: Customer, other: Customer, program: Program) -> list[Event]:
    """Put all that is known of the other into the known one; the facts that follow from it, for flows to hear."""
    for rule in _RULES:
        rule(known, other)
    for window in program.windows:
        window.join(known, other.windows.get(window.name))
    merging_passages.merge(known, other, program)
    return merging_carts.merge(known, other)


def _seen(known: Customer, other: Customer) -> None:
    if other.events:
        known.first_seen = min(known.first_seen or other.first_seen, other.first_seen)
        known.last_seen = max(known.last_seen, other.last_seen)
        known.events += other.events


def _recent(known: Customer, other: Customer) -> None:
    """The newest of both, so that what a tracker sends again under either id is known for what it is."""
    mine, hers = known.recent_hashes, other.recent_hashes
    room = RECENT_IDS_MAX - min(len(mine), RECENT_IDS_MAX // 2)
    hers = [each for each in hers if each not in set(mine)][-room:]
    mine = mine[-(RECENT_IDS_MAX - len(hers)) :]
    known.recent = b"".join(hers + mine)


def _traits(known: Customer, other: Customer) -> None:
    """What was said last; what the later word left open is taken from the earlier one."""
    mine, hers = known.traits, other.traits
    later, earlier = (hers, mine) if hers.at > mine.at else (mine, hers)
    by_locale = max(mine, hers, key=lambda each: each.locale_at)
    by_zone = max(mine, hers, key=lambda each: each.time_zone_at)
    known.traits = Traits(
        email=later.email or earlier.email,
        phone=later.phone or earlier.phone,
        first_name=later.first_name or earlier.first_name,
        last_name=later.last_name or earlier.last_name,
        locale=by_locale.locale,
        time_zone=by_zone.time_zone,
        at=later.at,
        locale_at=by_locale.locale_at,
        time_zone_at=by_zone.time_zone_at,
    )


def _consents(known: Customer, other: Customer) -> None:
    """The last word counts; of two of one moment, the one that says no."""
    consents = dict(known.consents)
    for place, hers in other.consents.items():
        mine = consents.get(place)
        if mine is None:
            consents[place] = hers
            continue
        word = max(mine, hers, key=lambda each: (each.at, not each.granted))
        consents[place] = Consent(word.granted, word.at, word.id, mine.grants + hers.grants)
    for place, wide in list(consents.items()):
        channel, topic = place.split("/", 1)
        if wide.granted or ALL not in (channel, topic):
            continue
        for each, word in consents.items():
            its_channel, its_topic = each.split("/", 1)
            if channel in (ALL, its_channel) and topic in (ALL, its_topic) and word.at <= wide.at:
                consents[each] = Consent(False, wide.at, wide.id, word.grants)
    known.consents = consents


def _suppressed(known: Customer, other: Customer) -> None:
    both = {**other.suppressed, **known.suppressed}
    known.suppressed = dict(list(both.items())[-SUPPRESSED_MAX:])


def _devices(known: Customer, other: Customer) -> None:
    both = dict(known.devices)
    for token, at in other.devices.items():
        both[token] = max(at, both.get(token, at))
    newest = sorted(both, key=lambda token: (-both[token], token))[:DEVICES_MAX]
    known.devices = {token: both[token] for token in both if token in newest}


def _orders(known: Customer, other: Customer) -> None:
    known.orders += other.orders
    first = [at for at in (known.first_order_at, other.first_order_at) if at]
    known.first_order_at = min(first, default=0)
    known.last_order_at = max(known.last_order_at, other.last_order_at)
    known.last_added_at = max(known.last_added_at, other.last_added_at)


def _bought(known: Customer, other: Customer) -> None:
    """As if all had been ordered under the known id; the next order sees the rhythm of both."""
    orders = dict(other.orders_by_id)
    for order_id, mine in known.orders_by_id.items():
        hers = orders.pop(order_id, Order())
        done = [at for at in (mine.completed_at, hers.completed_at) if at]
        orders[order_id] = Order(min(done, default=0), max(mine.undone_at, hers.undone_at))
    known.orders_by_id = dict(list(orders.items())[-ORDERS_MAX:])
    bought = {
        product: sorted([*times, *known.bought.get(product, ())])[-TIMES_MAX:]
        for product, times in other.bought.items()
    }
    both = {**known.bought, **bought}
    newest = sorted(both.items(), key=lambda entry: (entry[1][-1], entry[0]))
    known.bought = dict(newest[-BOUGHT_MAX:])


def _stage(known: Customer, other: Customer) -> None:
    known.stage = known.stage or other.stage


def _interests(known: Customer, other: Customer) -> None:
    both = dict(other.interests)
    for product, mine in known.interests.items():
        both[product] = _interest(mine, both[product]) if product in both else mine
    newest = sorted(both.items(), key=lambda entry: (entry[1].touched_at, entry[0]))[-INTERESTS_MAX:]
    for _, older in newest[:-WORDS_MAX]:
        older.name = older.url = older.image_url = ""
    known.interests = dict(newest)
    known.unindexed += both


def _interest(one: Interest, other: Interest) -> Interest:
    later, earlier = (one, other) if one.touched_at >= other.touched_at else (other, one)
    views = {one.viewed_at, one.viewed_before_at, other.viewed_at, other.viewed_before_at, 0, -1}
    viewed, before = sorted(views, reverse=True)[:2]
    return msgspec.structs.replace(
        later,
        viewed_at=viewed,
        viewed_before_at=max(before, 0),
        in_cart_at=max(one.in_cart_at, other.in_cart_at),
        price=later.price or earlier.price,
        name=later.name or earlier.name,
        url=later.url or earlier.url,
        image_url=later.image_url or earlier.image_url,
    )


def _told(known: Customer, other: Customer) -> None:
    known.told = _told_last(known.told, other.told)


def _told_last(mine: dict[str, int], hers: dict[str, int]) -> dict[str, int]:
    names: Iterable[str] = {**mine, **hers}
    return {name: max(mine.get(name, 0), hers.get(name, 0)) for name in names}


def _sent(known: Customer, other: Customer) -> None:
    known.sent = _sent_last(known.sent, other.sent)


def _sent_last(mine: list[Sent], hers: list[Sent]) -> list[Sent]:
    both = {each.message_id: each for each in (*hers, *mine)}
    newest = sorted(both.values(), key=lambda each: (each.at, each.message_id))
    return newest[-max(SENT_MAX, len(mine), len(hers)) :]


def _aside(known: Customer, other: Customer) -> None:
    """What each shadow would have sent and drawn counts together, as what was sent and drawn does."""
    both = {**other.aside, **known.aside}
    for name in known.aside.keys() & other.aside.keys():
        mine, hers = known.aside[name], other.aside[name]
        both[name] = Aside(
            sent=_sent_last(mine.sent, hers.sent),
            told=_told_last(mine.told, hers.told),
            arms={**hers.arms, **mine.arms},
        )
    known.aside = both


def _arms(known: Customer, other: Customer) -> None:
    """Who has an arm stays in it."""
    known.arms = {**other.arms, **known.arms}


def _early_results(known: Customer, other: Customer) -> None:
    def key(each: Delivery) -> tuple[Any, ...]:
        return msgspec.structs.astuple(each)

    mine = set(map(key, known.early_results))
    new = [each for each in other.early_results if key(each) not in mine]
    known.early_results = [*new, *known.early_results][-EARLY_RESULTS_MAX:]


def _shown(known: Customer, other: Customer) -> None:
    """Shown to either; not what she came to since, under whichever id.  By then both know what she touched."""
    if not known.shown and not other.shown:
        return
    both, history = together(known.shown, other.shown), history_of(known)
    known.shown = {item: each for item, each in both.items() if not came_since(history, item, each)}


_RULES: tuple[Callable[[Customer, Customer], None], ...] = (
    _seen,
    _recent,
    _traits,
    _consents,
    _suppressed,
    _devices,
    _orders,
    _bought,
    _stage,
    _interests,
    _told,
    _sent,
    _arms,
    _aside,
    _early_results,
    _shown,  # after what she touched and bought
)
