"""The messages that the shipped flows send, and what their templates are rendered with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from operators.flow import Template, hours
from state.carts import CartChanged
from state.customer import Customer
from state.events import ConsentGranted


def cart_content(cart: CartChanged, customer: Customer) -> Mapping[str, Any]:
    return {
        "first_name": customer.first_name,
        "cart": {
            "cart_id": cart.cart_id,
            "currency": cart.currency,
            "total_minor": cart.total.minor,
            "lines": [
                {
                    "product_id": line.product_id,
                    "name": line.name,
                    "quantity": line.quantity,
                    "price_minor": line.price.minor if line.price is not None else None,
                    "currency": line.price.currency if line.price is not None else "",
                    "url": line.url,
                    "image_url": line.image_url,
                }
                for line in cart.lines
            ],
        },
    }


def greeting(_: ConsentGranted, customer: Customer) -> Mapping[str, Any]:
    return {"first_name": customer.first_name}


cart_reminder = Template("cart_reminder", cart_content, within=hours(12))
cart_reminder_2 = Template("cart_reminder_2", cart_content, within=hours(12))
cart_offer = Template("cart_offer", cart_content, within=hours(12))
cart_last_call = Template("cart_last_call", cart_content, within=hours(12))
welcome = Template("welcome", greeting)
welcome_picks = Template("welcome_picks", greeting)
