"""Taking in what happened: an event changes what we know of a customer, and facts follow from it.

The facts are what flows hear: the event itself, and what it did to a cart.  A fact whose id is not the
event's own is a correction: a late event changed what an earlier fact should have said.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from operators import carts, catalogue, orders, products
from state import events as ev
from state.catalogue import BackInStock, CatalogueChange, PriceDropped
from state.customer import Consent, Customer
from state.events import Event
from state.ids import Ids
from state.orders import ProductOrdered

ALL = "*"
_SOFT = ("soft", "transient", "temporary", "undetermined", "block")

Fold = Callable[[Customer, Any, Ids], tuple[Event, ...]]
Folds = Mapping[type[Event], Fold]


def observe(customer: Customer, event: Event, ids: Ids, folds: Folds) -> tuple[Event, ...]:
    """Change the customer as the event says; the facts for flows, the event itself first."""
    fold = folds.get(type(event))
    if type(event) is CatalogueChange:  # nothing that she did
        return () if fold is None else fold(customer, event, ids)
    at = event.at
    if not customer.events:
        customer.first_seen = at
    customer.events += 1
    if at > customer.last_seen:
        customer.last_seen = at
    traits = customer.traits
    if event.locale and at >= traits.locale_at:
        traits.locale, traits.locale_at = event.locale, at
    if event.time_zone and at >= traits.time_zone_at:
        traits.time_zone, traits.time_zone_at = event.time_zone, at
    return (event,) if fold is None else (event, *fold(customer, event, ids))


def folds_for(listens: Callable[[type[Event]], object], *, recommends: bool = False) -> Folds:
    """What these flows need to know of each kind of event; products and orders are remembered for those who ask."""
    found = dict(_FOLDS)
    for kinds, folds in _ON_DEMAND:
        if recommends or any(map(listens, kinds)):
            for kind, fold in folds.items():
                found[kind] = _both(found[kind], fold) if kind in found else fold
    return found


def _both(one: Fold, other: Fold) -> Fold:
    def folded(customer: Customer, event: Any, ids: Ids) -> tuple[Event, ...]:
        return one(customer, event, ids) + other(customer, event, ids)

    return folded


def _identified(customer: Customer, event: ev.Identified, _: Ids) -> tuple[Event, ...]:
    traits = customer.traits
    if event.device:
        _register(customer, event.device, event.at)
    if event.at < traits.at:
        return ()
    for field in ("email", "phone", "first_name", "last_name"):
        value = getattr(event, field)
        if value is not None:
            setattr(traits, field, value)
    traits.at = event.at
    return ()


def _granted(customer: Customer, event: ev.ConsentGranted, _: Ids) -> tuple[Event, ...]:
    consents, key = customer.consents, f"{event.channel}/{event.topic}"
    known = consents.get(key)
    grants = (known.grants if known else 0) + 1
    wider = (f"{ALL}/{ALL}", f"{event.channel}/{ALL}", f"{ALL}/{event.topic}")
    said = max((consents[each] for each in (key, *wider) if each in consents), key=lambda word: word.at, default=None)
    if said is not None and said.at > event.at:
        # A late grant: what was said after it stands.
        consents[key] = Consent(said.granted, said.at, said.id, grants)
    else:
        consents[key] = Consent(True, event.at, event.id, grants)
    return ()


def _withdrawn(customer: Customer, event: ev.ConsentEvent, _: Ids) -> tuple[Event, ...]:
    consents = customer.consents
    channel, topic = event.channel or ALL, event.topic or ALL
    consents.setdefault(f"{channel}/{topic}", Consent(False, event.at, event.id))
    for key, word in consents.items():
        its_channel, its_topic = key.split("/", 1)
        if channel in (ALL, its_channel) and topic in (ALL, its_topic) and word.at <= event.at:
            consents[key] = Consent(False, event.at, event.id, word.grants)
    return ()


def _bounced(customer: Customer, event: ev.EmailBounced, ids: Ids) -> tuple[Event, ...]:
    if not any(word in event.kind.casefold() for word in _SOFT):
        suppress(customer, customer.traits.email, "bounce", ids)
    return ()


def _complained(customer: Customer, _: ev.EmailMarkedAsSpam, ids: Ids) -> tuple[Event, ...]:
    suppress(customer, customer.traits.email, "complaint", ids)
    return ()


def _registered(customer: Customer, event: ev.DeviceRegistered, _: Ids) -> tuple[Event, ...]:
    _register(customer, event.token, event.at)
    return ()


def _removed(customer: Customer, event: ev.DeviceRemoved, _: Ids) -> tuple[Event, ...]:
    if customer.devices.get(event.token, event.at + 1) <= event.at:
        del customer.devices[event.token]
    return ()


def _register(customer: Customer, token: str, at: int) -> None:
    """Remember a device; of too many, those go that were not seen for longest."""
    devices = customer.devices
    devices[token] = max(at, devices.get(token, at))
    while len(devices) > DEVICES_MAX:
        del devices[min(devices, key=lambda each: (devices[each], each))]


def _staged(customer: Customer, event: ev.StageChanged, _: Ids) -> tuple[Event, ...]:
    customer.stage = event.stage
    return ()


def suppress(customer: Customer, address: str, why: str, ids: Ids) -> None:
    """Send nothing more to this address.  The list keeps its hash; the last twenty addresses are enough."""
    if address:
        customer.suppressed[ids.address(address)] = why
        while len(customer.suppressed) > SUPPRESSED_MAX:
            del customer.suppressed[next(iter(customer.suppressed))]


SUPPRESSED_MAX = 20
DEVICES_MAX = 10

_FOLDS: dict[type[Event], Fold] = {
    ev.Identified: _identified,
    ev.ConsentGranted: _granted,
    ev.ConsentWithdrawn: _withdrawn,
    ev.Unsubscribed: _withdrawn,
    ev.EmailBounced: _bounced,
    ev.EmailMarkedAsSpam: _complained,
    ev.StageChanged: _staged,
    ev.DeviceRegistered: _registered,
    ev.DeviceRemoved: _removed,
    ev.ProductAdded: carts.added,
    ev.ProductRemoved: carts.removed,
    ev.OrderCompleted: carts.ordered,
}

_INTERESTS: dict[type[Event], Fold] = {
    ev.ProductViewed: products.viewed,
    ev.ProductAdded: products.carted,
    ev.ProductRemoved: products.carted,
}

_ORDERS: dict[type[Event], Fold] = {
    ev.OrderCompleted: orders.completed,
    ev.OrderCancelled: orders.undone,
    ev.OrderRefunded: orders.undone,
}

_NEWS: tuple[type[Event], ...] = (BackInStock, PriceDropped)

_ON_DEMAND: tuple[tuple[tuple[type[Event], ...], dict[type[Event], Fold]], ...] = (
    ((ev.ProductViewed, *_NEWS), _INTERESTS),
    ((ev.OrderCancelled, ev.OrderRefunded, ProductOrdered, *_NEWS), _ORDERS),
    (_NEWS, {CatalogueChange: catalogue.heard}),
)
