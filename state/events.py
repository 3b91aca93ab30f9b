"""What can happen in the shop, as typed values.

These are kept for months inside customers' records, so their form is append-only: every class has a
short fixed tag, and fields are only added at the end, with defaults.
"""

from __future__ import annotations

from typing import Any

import msgspec

from state.money import Money


class Event(msgspec.Struct, gc=False, frozen=True, kw_only=True, array_like=True, tag="event"):
    """Something a customer did, or that happened to her.

    `id` is the tracker's `messageId`, else the record's place in the log.  `at` is event time.
    `locale` and `time_zone` are what the event's context said, or empty.
    """

    id: str = ""
    customer: str = ""
    at: int = 0
    locale: str = ""
    time_zone: str = ""

    @property
    def subject(self) -> str:
        """Which of the customer's things this is about; empty when it is about her alone."""
        return ""


class Identified(Event, frozen=True, kw_only=True, array_like=True, tag="identified"):
    email: str | None = None
    phone: str | None = None
    first_name: str | None = None
    last_name: str | None = None
    traits: dict[str, Any] = {}
    device: str = ""  # the push token of the device it came from
    anonymous: str = ""  # who she was before, where the event says that she is known


class Paged(Event, frozen=True, kw_only=True, array_like=True, tag="paged"):
    name: str = ""
    url: str = ""


class Screened(Event, frozen=True, kw_only=True, array_like=True, tag="screened"):
    name: str = ""


class Grouped(Event, frozen=True, kw_only=True, array_like=True, tag="grouped"):
    group_id: str = ""


class Aliased(Event, frozen=True, kw_only=True, array_like=True, tag="aliased"):
    previous_id: str = ""
    by_user: bool = False  # the event says that she is known


class Tracked(Event, frozen=True, kw_only=True, array_like=True, tag="tracked"):
    """Any event whose name Impuls does not know; flows can still name it."""

    name: str = ""
    properties: dict[str, Any] = {}


class ProductsSearched(Event, frozen=True, kw_only=True, array_like=True, tag="searched"):
    query: str = ""


class ProductListViewed(Event, frozen=True, kw_only=True, array_like=True, tag="list_viewed"):
    list_id: str = ""
    category: str = ""


class ProductEvent(Event, frozen=True, kw_only=True, array_like=True, tag="product"):
    """Something about one product.  `quantity` is None where none was given."""

    product_id: str
    name: str = ""
    price: Money | None = None
    quantity: int | None = None
    category: str = ""
    url: str = ""
    image_url: str = ""
    cart_id: str = ""

    @property
    def subject(self) -> str:
        return self.product_id


class ProductViewed(ProductEvent, frozen=True, kw_only=True, array_like=True, tag="viewed"):
    pass


class ProductAdded(ProductEvent, frozen=True, kw_only=True, array_like=True, tag="added"):
    pass


class ProductRemoved(ProductEvent, frozen=True, kw_only=True, array_like=True, tag="removed"):
    pass


class ProductReviewed(ProductEvent, frozen=True, kw_only=True, array_like=True, tag="reviewed"):
    rating: float | None = None


class CartViewed(Event, frozen=True, kw_only=True, array_like=True, tag="cart_viewed"):
    cart_id: str = ""


class OrderLine(msgspec.Struct, gc=False, frozen=True, array_like=True):
    product_id: str
    quantity: int = 1
    price: Money | None = None
    name: str = ""
    category: str = ""
    url: str = ""
    image_url: str = ""


class OrderEvent(Event, frozen=True, kw_only=True, array_like=True, tag="order"):
    """Something about one order, or without an id about itself.  `total` is as stated, else the sum of the products."""

    order_id: str = ""
    cart_id: str = ""
    total: Money | None = None
    currency: str = ""
    products: tuple[OrderLine, ...] = ()
    coupon: str = ""

    @property
    def subject(self) -> str:
        return self.order_id or self.id


class CheckoutStarted(OrderEvent, frozen=True, kw_only=True, array_like=True, tag="checkout"):
    pass


class PaymentFailed(OrderEvent, frozen=True, kw_only=True, array_like=True, tag="payment_failed"):
    pass


class OrderCompleted(OrderEvent, frozen=True, kw_only=True, array_like=True, tag="ordered"):
    pass


class OrderUpdated(OrderEvent, frozen=True, kw_only=True, array_like=True, tag="order_updated"):
    pass


class OrderCancelled(OrderEvent, frozen=True, kw_only=True, array_like=True, tag="order_cancelled"):
    pass


class OrderRefunded(OrderEvent, frozen=True, kw_only=True, array_like=True, tag="order_refunded"):
    pass


class CouponEntered(Event, frozen=True, kw_only=True, array_like=True, tag="coupon"):
    coupon: str = ""
    cart_id: str = ""


class PromotionClicked(Event, frozen=True, kw_only=True, array_like=True, tag="promotion"):
    promotion_id: str = ""
    name: str = ""


class EmailEvent(Event, frozen=True, kw_only=True, array_like=True, tag="email"):
    """What a mail provider tells of one message."""

    message_id: str = ""
    url: str = ""
    kind: str = ""  # of a bounce: "hard", "soft" or what the provider calls it
    user_agent: str = ""  # of an open or a click

    @property
    def subject(self) -> str:
        return self.message_id


class EmailDelivered(EmailEvent, frozen=True, kw_only=True, array_like=True, tag="email_delivered"):
    pass


class EmailOpened(EmailEvent, frozen=True, kw_only=True, array_like=True, tag="email_opened"):
    pass


class EmailLinkClicked(EmailEvent, frozen=True, kw_only=True, array_like=True, tag="email_clicked"):
    pass


class EmailBounced(EmailEvent, frozen=True, kw_only=True, array_like=True, tag="email_bounced"):
    pass


class EmailMarkedAsSpam(EmailEvent, frozen=True, kw_only=True, array_like=True, tag="email_spam"):
    pass


class ConsentEvent(Event, frozen=True, kw_only=True, array_like=True, tag="consent"):
    """A word about one channel and topic; empty means all of them (a withdrawal only)."""

    channel: str = ""
    topic: str = ""
    source: str = ""
    proof: str = ""


class ConsentGranted(ConsentEvent, frozen=True, kw_only=True, array_like=True, tag="consent_granted"):
    pass


class ConsentWithdrawn(ConsentEvent, frozen=True, kw_only=True, array_like=True, tag="consent_withdrawn"):
    pass


class Unsubscribed(ConsentEvent, frozen=True, kw_only=True, array_like=True, tag="unsubscribed"):
    message_id: str = ""


class ProductChanged(ProductEvent, frozen=True, kw_only=True, array_like=True, tag="product_changed"):
    available: bool | None = None
    markets: tuple[str, ...] | None = None  # countries it is sold in; empty: all; None: nothing was said


class StageChanged(Event, frozen=True, kw_only=True, array_like=True, tag="stage"):
    stage: str = ""


class DeviceEvent(Event, frozen=True, kw_only=True, array_like=True, tag="device"):
    """A device that can show push messages: its token."""

    token: str = ""


class DeviceRegistered(DeviceEvent, frozen=True, kw_only=True, array_like=True, tag="device_registered"):
    pass


class DeviceRemoved(DeviceEvent, frozen=True, kw_only=True, array_like=True, tag="device_removed"):
    pass
