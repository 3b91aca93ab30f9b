"""The messages that the shipped flows send, and what their templates are rendered with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flows.windows import visit
from operators.flow import Template, hours, recommend
from state.carts import CartChanged
from state.catalogue import BackInStock, PriceDropped
from state.customer import Customer
from state.events import Event, OrderCompleted, ProductViewed
from state.money import Money
from state.orders import ProductOrdered
from state.products import Interest

Content = Mapping[str, Any]


def greeting(_: Event, customer: Customer) -> Content:
    return {"first_name": customer.first_name}


def cart_content(cart: CartChanged, customer: Customer) -> Content:
    return {
        "first_name": customer.first_name,
        "cart": {
            "cart_id": cart.cart_id,
            "currency": cart.currency,
            "total_minor": cart.total.minor,
            "lines": [
                {"quantity": line.quantity, **shown(line.product_id, line.name, line.price, line.url, line.image_url)}
                for line in cart.lines
            ],
        },
    }


def order_content(order: OrderCompleted, customer: Customer) -> Content:
    return {
        "first_name": customer.first_name,
        "order": {
            "order_id": order.order_id,
            "currency": order.total.currency if order.total is not None else order.currency,
            "total_minor": order.total.minor if order.total is not None else 0,
            "lines": [
                {"quantity": line.quantity, **shown(line.product_id, line.name, line.price, line.url, line.image_url)}
                for line in order.products
            ],
        },
    }


def ordered_products(order: OrderCompleted, customer: Customer) -> Content:
    return {
        "first_name": customer.first_name,
        "products": [
            shown(line.product_id, line.name, line.price, line.url, line.image_url) for line in order.products
        ],
    }


def ordered_product(ordered: ProductOrdered, customer: Customer) -> Content:
    product = shown(ordered.product_id, ordered.name, ordered.price, ordered.url, ordered.image_url)
    return {"first_name": customer.first_name, "products": [product]}


def awaited_product(news: BackInStock, customer: Customer) -> Content:
    product = shown(news.product_id, news.name, news.price, news.url, news.image_url)
    return {"first_name": customer.first_name, "products": [product]}


def cheaper_product(news: PriceDropped, customer: Customer) -> Content:
    """With the price before."""
    product = shown(news.product_id, news.name, news.price, news.url, news.image_url)
    before = {"before_minor": news.before.minor, "before_currency": news.before.currency}
    return {"first_name": customer.first_name, "products": [product], **before}


def viewed_products(view: ProductViewed, customer: Customer) -> Content:
    """What she looked at during this visit, the last first, each product once."""
    looked_at = dict.fromkeys(seen.value for seen in visit.of(customer, view.at)) or {view.product_id: None}
    return {
        "first_name": customer.first_name,
        "products": [remembered(product, customer.interests.get(product)) for product in looked_at],
    }


def remembered(product: str, interest: Interest | None) -> Content:
    known = interest or Interest()
    return shown(product, known.name, known.price, known.url, known.image_url)


def shown(product: str, name: str, price: Money | None, url: str, image_url: str) -> Content:
    """A product as templates show it."""
    return {
        "product_id": product,
        "name": name,
        "price_minor": price.minor if price is not None else None,
        "currency": price.currency if price is not None else "",
        "url": url,
        "image_url": image_url,
    }


cart_reminder = Template("cart_reminder", cart_content, within=hours(12))
cart_reminder_2 = Template("cart_reminder_2", cart_content, within=hours(12))
cart_offer = Template("cart_offer", cart_content, within=hours(12))
cart_last_call = Template("cart_last_call", cart_content, within=hours(12))
welcome = Template("welcome", greeting)
welcome_picks = Template("welcome_picks", greeting, recommends=recommend("discover", 4, at_least=0))
browse_reminder = Template("browse_reminder", viewed_products, within=hours(12))
order_thanks = Template("order_thanks", order_content, kind="transactional")
review_request = Template("review_request", ordered_products)
cross_sell = Template("cross_sell", greeting, recommends=recommend("discover", 4, at_least=0))
replenish = Template("replenish", ordered_product)
back_in_stock = Template("back_in_stock", awaited_product)
price_drop = Template("price_drop", cheaper_product)
win_back = Template("win_back", greeting)
win_back_offer = Template("win_back_offer", greeting)
