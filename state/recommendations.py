"""What was recommended to whom, why, and by what: the form that answers, messages and the log share.

Logged whole (topic `recommendations`, keyed by customer), so that a new policy can be judged on what an old one showed.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from state.money import Money

Block = Literal["abandoned", "buy_again", "discover", "similar"]
BLOCKS: tuple[Block, ...] = ("abandoned", "buy_again", "discover")
TOPIC = "recommendations"
DAY_MS = 86_400_000
CLICKED_MS = DAY_MS  # so long after it was shown a view or a cart is the doing of what showed it last,
BOUGHT_MS = 7 * DAY_MS  # and so long an order


class Shown(msgspec.Struct, gc=False, array_like=True, frozen=True):
    """How often a product was shown to a customer without her coming to it, and when (ms) that was counted last."""

    times: int
    at: int


class History(msgspec.Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """What a customer did: products by when she touched them last (oldest first), and when she bought which.

    Times in milliseconds.  `in_cart` are products that lie in an open cart, `carted` those that ever did, `shown`
    what was recommended to her.
    """

    touched: dict[str, int] = {}
    carted: frozenset[str] = frozenset()
    in_cart: frozenset[str] = frozenset()
    bought: dict[str, list[int]] = {}
    market: str = ""  # the country she buys in, as two letters; empty where nothing says
    shown: dict[str, Shown] = {}


class Wanted(msgspec.Struct, gc=False, frozen=True, kw_only=True):
    """What a message is to recommend: so many products of a block, and at how few it is not to be sent at all."""

    block: Block
    count: int
    at_least: int
    history: History


class ItemFacts(msgspec.Struct, gc=False, array_like=True):
    """What is known of a product, as its events said it last.  `available` is None where no catalogue told.

    Event times of what was said last stand apart, since clicks and the catalogue are read in no order of their own.
    """

    name: str = ""
    price: Money | None = None
    category: str = ""
    url: str = ""
    image_url: str = ""
    available: bool | None = None
    at: int = 0  # of name, category and addresses
    markets: tuple[str, ...] = ()  # countries it is sold in; empty: all, or nobody said
    price_at: int = 0
    available_at: int = 0
    markets_at: int = 0


class Recommended(msgspec.Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """One product and why it is there: `reason` is a stable word, `because` the product it follows from."""

    item: str
    score: float
    reason: str
    because: str = ""
    name: str = ""
    price: str = ""  # exact, as a decimal
    currency: str = ""
    url: str = ""
    image_url: str = ""


class Recommendation(msgspec.Struct, gc=False, frozen=True, kw_only=True, omit_defaults=True):
    """One answer.  `strategy` says what chose the items; `fallback`, that it was not what was asked for.

    `at` is wall time.  `model` names the version of what ranked; `arm` and `propensity`, a bandit's choice.
    `features` stand in the log alone: of the first items in their order, what they were ranked by.
    """

    recommendation_id: str
    at: str
    customer: str = ""
    message_id: str = ""  # of the message that shows it
    block: Block
    strategy: str
    model: str = ""
    fallback: bool
    arm: str = ""
    propensity: float = 1.0
    items: tuple[Recommended, ...]
    features: tuple[dict[str, float], ...] = ()
