"""What a visitor looked at last: all that a recommendation needs to know of her."""

from __future__ import annotations

LENGTH = 6


class Visit:
    """Her last distinct products, newest last."""

    __slots__ = ("products",)

    def __init__(self, products: list[str] | None = None) -> None:
        self.products = products or []

    def see(self, product: str) -> None:
        products = self.products
        if product in products:
            products.remove(product)
        products.append(product)
        if len(products) > LENGTH:
            del products[0]
