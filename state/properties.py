"""What each kind of event carries in its properties, and how it becomes a typed event."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from state import events
from state.events import Event, OrderEvent, OrderLine, ProductEvent
from state.fields import (
    ID_CHARS_MAX,
    NO_NUMBER,
    TEXT_CHARS_MAX,
    URL_CHARS_MAX,
    BadField,
    Number,
    Text,
    currency_of,
    decimal_of,
    ident,
    identifier,
    money_of,
    quantity_of,
    shown,
    unreadable,
)
from state.money import Money

LINES_MAX = 100
INT_MAX = 2**63 - 1
_TOKEN = re.compile(r"[!-~]{8,4096}")


class Common(msgspec.Struct, frozen=True, gc=False):
    """What every event has, as the decoder found it."""

    id: str
    customer: str
    at: int
    locale: str
    time_zone: str
    currency: str
    device: str = ""


class _Product(msgspec.Struct, gc=False):
    product_id: Text = None
    sku: Text = None
    name: Text = None
    price: Number = NO_NUMBER
    quantity: Number = NO_NUMBER
    currency: Text = None
    category: Text = None
    url: Text = None
    image_url: Text = None
    cart_id: Text = None
    rating: Number = NO_NUMBER
    availability: bool | str | int | None = None
    markets: Any = None


_Ident = Annotated[str, msgspec.Meta(min_length=1, max_length=ID_CHARS_MAX)]
_Shown = Annotated[str, msgspec.Meta(max_length=TEXT_CHARS_MAX)]
_Url = Annotated[str, msgspec.Meta(max_length=URL_CHARS_MAX)]


class _TidyProduct(msgspec.Struct, gc=False, kw_only=True):
    """A product as nearly every tracker writes it: its limits are checked as it is read, which is most of the work."""

    product_id: _Ident
    sku: Text = None
    name: _Shown | None = None
    price: Number = NO_NUMBER
    quantity: Number = NO_NUMBER
    currency: Text = None
    category: _Shown | None = None
    url: _Url | None = None
    image_url: _Url | None = None
    cart_id: _Ident | None = None
    rating: Number = NO_NUMBER
    availability: bool | str | int | None = None
    markets: Any = None


class _Order(msgspec.Struct, gc=False):
    order_id: Text = None
    checkout_id: Text = None
    cart_id: Text = None
    total: Number = NO_NUMBER
    revenue: Number = NO_NUMBER
    currency: Text = None
    coupon: Text = None
    products: list[_Product] = []


class _Words(msgspec.Struct, gc=False):
    """The plain texts that the smaller events carry."""

    query: Text = None
    list_id: Text = None
    category: Text = None
    cart_id: Text = None
    coupon: Text = None
    coupon_id: Text = None
    promotion_id: Text = None
    name: Text = None
    message_id: Text = None
    link_url: Text = None
    url: Text = None
    kind: Text = None
    bounce_type: Text = None
    channel: Text = None
    topic: Text = None
    source: Text = None
    proof: Text = None
    stage: Text = None
    token: Text = None
    user_agent: Text = None
    userAgent: Text = None


class _Traits(msgspec.Struct, gc=False):
    email: str | None = None
    phone: str | int | None = None
    first_name: str | None = None
    firstName: str | None = None
    last_name: str | None = None
    lastName: str | None = None
    locale: str | None = None
    timezone: Any = None


_product = msgspec.json.Decoder(_Product).decode
_tidy_product = msgspec.json.Decoder(_TidyProduct).decode
_order = msgspec.json.Decoder(_Order).decode
_words = msgspec.json.Decoder(_Words).decode
_traits = msgspec.json.Decoder(_Traits).decode
_plain = msgspec.json.Decoder(dict[str, Any]).decode

Maker = Callable[[msgspec.Raw, Common, Any], Event]
P = TypeVar("P", bound=ProductEvent)


def _product_id(product: _Product, field: str) -> str:
    product_id = ident(product.product_id if product.product_id is not None else product.sku, field)
    if not product_id:
        raise BadField(f"{field} is missing")
    return product_id


def _product_event(kind: type[P]) -> Maker:
    def make(raw: msgspec.Raw, common: Common, _: Any) -> P:
        try:
            product = _tidy_product(raw)
        except msgspec.ValidationError:
            product = _tidied(_product(raw))
        product_id, cart_id, price, quantity = product.product_id, product.cart_id, product.price, product.quantity
        if not product_id.isprintable():
            raise unreadable("properties.product_id")
        if cart_id is not None and not cart_id.isprintable():
            raise unreadable("properties.cart_id")
        currency = currency_of(product.currency, common.currency)
        event = kind(
            id=common.id,
            customer=common.customer,
            at=common.at,
            locale=common.locale,
            time_zone=common.time_zone,
            product_id=product_id,
            name=product.name or "",
            price=None if price is NO_NUMBER else money_of(price, currency, "properties.price"),
            quantity=None if quantity is NO_NUMBER else quantity_of(quantity),
            category=product.category or "",
            url=product.url or "",
            image_url=product.image_url or "",
            cart_id=cart_id or "",
        )
        return msgspec.structs.replace(event, **_extras(kind, product)) if more else event

    more = kind in (events.ProductReviewed, events.ProductChanged)
    return make


def _tidied(product: _Product) -> _TidyProduct:
    return _TidyProduct(
        product_id=_product_id(product, "properties.product_id"),
        name=shown(product.name),
        price=product.price,
        quantity=product.quantity,
        currency=product.currency,
        category=shown(product.category),
        url=shown(product.url, URL_CHARS_MAX),
        image_url=shown(product.image_url, URL_CHARS_MAX),
        cart_id=ident(product.cart_id, "properties.cart_id"),
        rating=product.rating,
        availability=product.availability,
        markets=product.markets,
    )


def _extras(kind: type[ProductEvent], product: _TidyProduct) -> dict[str, Any]:
    if kind is events.ProductReviewed:
        try:
            number = decimal_of(bytes(product.rating))
            rating = None if number is None else float(number)
        except (ValueError, OverflowError):
            raise BadField("rating is not a number") from None
        return {"rating": rating if rating is None or math.isfinite(rating) else None}
    if kind is events.ProductChanged:
        return {"available": _available(product.availability), "markets": _markets(product.markets)}
    return {}


def _available(value: bool | str | int | None) -> bool | None:
    if isinstance(value, str):
        word = "".join(filter(str.isalnum, value.rsplit("/", 1)[-1])).casefold()
        return word in {"instock", "available", "true", "yes", "onlineonly", "limitedavailability", "1"}
    return None if value is None else bool(value)


def _markets(value: object) -> tuple[str, ...] | None:
    """Countries by their two letters; anything else says nothing, so that no product vanishes by a slip."""
    if not isinstance(value, list):
        return None
    return tuple(
        sorted({each.upper() for each in value if isinstance(each, str) and len(each) == 2 and each.isalpha()})
    )


def _order_event(kind: type[OrderEvent]) -> Maker:
    def make(raw: msgspec.Raw, common: Common, _: Any) -> Event:
        order = _order(raw)
        currency = currency_of(order.currency, common.currency)
        lines = tuple(_order_line(line, i, currency) for i, line in enumerate(order.products[:LINES_MAX]))
        total = money_of(order.total, currency, "total") or money_of(order.revenue, currency, "revenue")
        if total is None and any(line.price for line in lines):
            total = Money(sum(line.quantity * line.price.minor for line in lines if line.price), currency)
        return kind(
            **_base(common),
            order_id=ident(order.order_id if order.order_id is not None else order.checkout_id, "properties.order_id"),
            cart_id=ident(order.cart_id, "properties.cart_id"),
            total=total,
            currency=currency,
            products=lines,
            coupon=shown(order.coupon),
        )

    return make


def _order_line(product: _Product, index: int, currency: str) -> OrderLine:
    quantity = quantity_of(product.quantity)
    return OrderLine(
        _product_id(product, f"properties.products[{index}].product_id"),
        1 if quantity is None else quantity,
        money_of(product.price, currency, f"properties.products[{index}].price"),
        shown(product.name),
        shown(product.category),
        shown(product.url, URL_CHARS_MAX),
        shown(product.image_url, URL_CHARS_MAX),
    )


def _base(common: Common) -> dict[str, Any]:
    return {
        "id": common.id,
        "customer": common.customer,
        "at": common.at,
        "locale": common.locale,
        "time_zone": common.time_zone,
    }


def _words_event(kind: type[Event], /, **fields: Callable[[_Words], str]) -> Maker:
    def make(raw: msgspec.Raw, common: Common, _: Any) -> Event:
        words = _words(raw)
        texts: dict[str, Any] = {name: read(words) for name, read in fields.items()}
        return kind(**_base(common), **texts)

    return make


def _email_event(kind: type[events.EmailEvent]) -> Maker:
    """The reader's user agent is where the provider put it, else where Segment's SDKs put theirs."""

    def make(raw: msgspec.Raw, common: Common, wire: Any) -> Event:
        words = _words(raw)
        agent = _user_agent(words)
        if not agent and wire.context is not None and isinstance(wire.context.userAgent, str):
            agent = wire.context.userAgent[:TEXT_CHARS_MAX]
        return kind(
            **_base(common),
            message_id=ident(words.message_id, "properties.message_id"),
            url=_link(words),
            kind=_kind(words),
            user_agent=agent,
        )

    return make


def _id_of(field: str) -> Callable[[_Words], str]:
    return lambda words: ident(getattr(words, field), f"properties.{field}")


def _text_of(*names: str, limit: int = TEXT_CHARS_MAX) -> Callable[[_Words], str]:
    return lambda words: next((shown(v, limit) for v in (getattr(words, n) for n in names) if v is not None), "")


_link = _text_of("link_url", "url", limit=URL_CHARS_MAX)
_kind = _text_of("kind", "bounce_type")
_user_agent = _text_of("user_agent", "userAgent")


def _channel(words: _Words) -> str:
    channel = shown(words.channel).strip().casefold()
    if channel and channel not in {"email", "sms", "push", "webhook"}:
        raise BadField("channel is none of email, sms, push and webhook")
    return channel


def _consent_event(kind: type[events.ConsentEvent], *, all_by_default: bool) -> Maker:
    """Who withdraws without naming a topic means all; who grants without naming one means marketing mail."""

    def make(raw: msgspec.Raw, common: Common, _: Any) -> Event:
        words = _words(raw)
        extra: dict[str, Any] = {}
        if kind is events.Unsubscribed:
            extra["message_id"] = ident(words.message_id, "properties.message_id")
        return kind(
            **_base(common),
            channel=_channel(words) or ("" if all_by_default else "email"),
            topic=ident(words.topic, "properties.topic") or ("" if all_by_default else "marketing"),
            source=shown(words.source),
            proof=shown(words.proof),
            **extra,
        )

    return make


def _device_event(kind: type[events.DeviceEvent]) -> Maker:
    """The token stands in the event's own properties, or where Segment's mobile SDKs put it: `context.device.token`."""

    def make(raw: msgspec.Raw, common: Common, _: Any) -> Event:
        token = device_token({"token": _words(raw).token}) or common.device
        if not token:
            raise BadField("properties.token is missing, or is no push token")
        return kind(**_base(common), token=token)

    return make


def device_token(device: object) -> str:
    """The push token in Segment's `context.device`; a strange one is no reason to lose an event."""
    token = device.get("token") if isinstance(device, dict) else None
    return token if isinstance(token, str) and _TOKEN.fullmatch(token) else ""


def plain_track(raw: msgspec.Raw, common: Common, wire: Any) -> Event:
    return events.Tracked(**_base(common), name=wire.event, properties=_bounded(_plain(raw)))


def _bounded(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Plain values that can be stored: whole numbers beyond 64 bits become texts."""
    return {key: _storable(value) for key, value in properties.items()}


def _storable(value: Any) -> Any:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return value if -INT_MAX <= value <= INT_MAX else str(value)
    if isinstance(value, dict):
        return _bounded(value)
    if isinstance(value, list):
        return [_storable(each) for each in value]
    return value


def _identify(raw: msgspec.Raw, common: Common, wire: Any) -> Event:
    traits = _traits(raw)
    base = _base(common)
    if traits.locale is not None:
        base["locale"] = traits.locale[:35]
    if zone := known_zone(traits.timezone):
        base["time_zone"] = zone
    first = traits.first_name if traits.first_name is not None else traits.firstName
    last = traits.last_name if traits.last_name is not None else traits.lastName
    return events.Identified(
        **base,
        email=None if traits.email is None else traits.email.strip()[:320],
        phone=None if traits.phone is None else shown(traits.phone, 40).strip(),
        first_name=None if first is None else shown(first, 200),
        last_name=None if last is None else shown(last, 200),
        traits=_bounded({k: v for k, v in _plain(raw).items() if k not in _KNOWN_TRAITS}),
        device=common.device,
        anonymous=(identifier(wire.anonymousId) or "") if identifier(wire.userId) else "",
    )


_KNOWN_TRAITS = frozenset(_Traits.__struct_fields__)


def _page(raw: msgspec.Raw, common: Common, wire: Any) -> Event:
    words = _words(raw)
    name = shown(wire.name) or shown(words.name)
    return events.Paged(**_base(common), name=name, url=shown(words.url, URL_CHARS_MAX))


def _screen(raw: msgspec.Raw, common: Common, wire: Any) -> Event:
    return events.Screened(**_base(common), name=shown(wire.name) or shown(_words(raw).name))


def _group(_: msgspec.Raw, common: Common, wire: Any) -> Event:
    return events.Grouped(**_base(common), group_id=ident(wire.groupId, "groupId"))


def _alias(_: msgspec.Raw, common: Common, wire: Any) -> Event:
    previous = ident(wire.previousId, "previousId")
    return events.Aliased(**_base(common), previous_id=previous, by_user=bool(identifier(wire.userId)))


@lru_cache(maxsize=2048)
def _zone(name: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ""


def known_zone(name: object) -> str:
    """The time zone, where it is one; an unknown one is no reason to lose an event."""
    return _zone(name) if isinstance(name, str) and 0 < len(name) <= 64 else ""


CALLS: Mapping[str, Maker] = {
    "identify": _identify,
    "page": _page,
    "screen": _screen,
    "group": _group,
    "alias": _alias,
}

TRACKS: Mapping[str, Maker] = {
    "Products Searched": _words_event(events.ProductsSearched, query=_text_of("query")),
    "Product List Viewed": _words_event(
        events.ProductListViewed, list_id=_id_of("list_id"), category=_text_of("category")
    ),
    "Product Viewed": _product_event(events.ProductViewed),
    "Product Added": _product_event(events.ProductAdded),
    "Product Removed": _product_event(events.ProductRemoved),
    "Product Reviewed": _product_event(events.ProductReviewed),
    "Product Changed": _product_event(events.ProductChanged),
    "Cart Viewed": _words_event(events.CartViewed, cart_id=_id_of("cart_id")),
    "Checkout Started": _order_event(events.CheckoutStarted),
    "Payment Failed": _order_event(events.PaymentFailed),
    "Order Completed": _order_event(events.OrderCompleted),
    "Order Updated": _order_event(events.OrderUpdated),
    "Order Cancelled": _order_event(events.OrderCancelled),
    "Order Refunded": _order_event(events.OrderRefunded),
    "Coupon Entered": _words_event(
        events.CouponEntered, coupon=_text_of("coupon_id", "coupon", "name"), cart_id=_id_of("cart_id")
    ),
    "Promotion Clicked": _words_event(
        events.PromotionClicked, promotion_id=_id_of("promotion_id"), name=_text_of("name")
    ),
    "Email Delivered": _email_event(events.EmailDelivered),
    "Email Opened": _email_event(events.EmailOpened),
    "Email Link Clicked": _email_event(events.EmailLinkClicked),
    "Email Bounced": _email_event(events.EmailBounced),
    "Email Marked as Spam": _email_event(events.EmailMarkedAsSpam),
    "Unsubscribed": _consent_event(events.Unsubscribed, all_by_default=True),
    "Consent Granted": _consent_event(events.ConsentGranted, all_by_default=False),
    "Consent Withdrawn": _consent_event(events.ConsentWithdrawn, all_by_default=True),
    "Device Registered": _device_event(events.DeviceRegistered),
    "Device Removed": _device_event(events.DeviceRemoved),
    "Stage Changed": _words_event(events.StageChanged, stage=_text_of("stage")),
}
