"""A file of views, carts and orders as the events a learner takes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.recommender.reading import WEIGHTS, Click
from state.events import Event, OrderCompleted, OrderLine, ProductAdded, ProductViewed


def events(clicks: Sequence[Click]) -> Iterator[tuple[bytes, Event]]:
    """Visitors by their names; what one visitor bought at one moment is one order."""
    orders: dict[tuple[str, int], list[OrderLine]] = {}
    for click in clicks:
        if click.weight == WEIGHTS["transaction"]:
            orders.setdefault((click.session, click.at), []).append(OrderLine(click.item))
    for click in clicks:
        who = click.session.encode()
        if click.weight == WEIGHTS["transaction"]:
            lines = orders.pop((click.session, click.at), None)
            if lines is not None:
                yield who, OrderCompleted(at=click.at, products=tuple(lines))
        elif click.weight == WEIGHTS["addtocart"]:
            yield who, ProductAdded(at=click.at, product_id=click.item)
        else:
            yield who, ProductViewed(at=click.at, product_id=click.item)
