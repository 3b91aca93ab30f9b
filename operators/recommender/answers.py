"""From what is learnt and what she did to an answer: products with their words, and what chose them.

There always is an answer.  Where a block has nothing for her, she is shown what sells, and the answer says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from functools import partial
from itertools import islice

import msgspec

from operators.recommender.blocks import PINNED, POPULAR, Arrange, Choice, choose, popular
from operators.recommender.reading import Learnt
from operators.recommender.reordering import Reordering
from state.instants import format_instant
from state.recommendations import Block, History, Recommendation, Recommended, Wanted

_NEW: tuple[Block, ...] = ("discover", "similar")  # blocks for what is new to her
CATEGORIES = 3  # of what she came to last, whose best stand in before those of all
CO_VISITATION, HISTORY, POPULARITY = "co_visitation", "history", "popularity"
_STRATEGIES: dict[Block, str] = {
    "abandoned": HISTORY,
    "buy_again": HISTORY,
    "discover": CO_VISITATION,
    "similar": CO_VISITATION,
}


def recommend(
    learnt: Learnt,
    history: History,
    block: Block,
    limit: int,
    *,
    id: str,
    now: int,
    customer: str = "",
    exclude: Set[str] = frozenset(),
    describe: bool = False,
) -> Recommendation:
    """At most `limit` products of a block for a customer, at this moment (ms); `describe` for the log."""

    def may_show(item: str) -> bool:
        return item not in exclude and _is_for_sale(learnt, block, item, history)

    resting = learnt.rules.resting(block, history, now)
    reordering = Reordering(learnt.model, learnt.champion, now)
    found = _chosen(learnt, block, history, limit, now, may_show, reordering, resting)
    strategy = _STRATEGIES[block]
    fallback = _only_sells(found)
    if fallback:
        strategy = POPULARITY
        pinned = [choice for choice in found if choice.reason == PINNED]
        there = {choice.item for choice in pinned}
        found = pinned + _sells(
            learnt,
            block,
            history,
            limit - len(pinned),
            lambda item: item not in there and may_show(item),
            resting,
        )
    elif block in _NEW:
        found = _filled(learnt, block, history, limit, may_show, resting, found)
    told = _told(learnt, found, block, strategy, id=id, now=now, customer=customer, fallback=fallback)
    return _described(told, reordering) if describe else told


def similar(learnt: Learnt, item: str, limit: int, *, id: str, now: int) -> Recommendation:
    """Products that others came to after this one, or before."""
    return recommend(learnt, History(touched={item: now}), "similar", limit, id=id, now=now, exclude={item})


def for_message(
    learnt: Learnt, wanted: Wanted, *, id: str, now: int, customer: str, message_id: str
) -> Recommendation | None:
    """What a message shows; None where that is too little, of what she was not shown too often.

    Nothing stands in for what the block has not.
    """

    def may_show(item: str) -> bool:
        return bool(learnt.facts(item).name) and _is_for_sale(learnt, wanted.block, item, wanted.history)

    resting = learnt.rules.resting(wanted.block, wanted.history, now)
    reordering = Reordering(learnt.model, learnt.champion, now)
    found = _chosen(learnt, wanted.block, wanted.history, wanted.count, now, may_show, reordering, resting)
    if sum(choice.reason == PINNED or choice.item not in resting for choice in found) < wanted.at_least:
        return None
    fallback = _only_sells(found) and any(choice.reason == POPULAR for choice in found)
    strategy = POPULARITY if fallback else _STRATEGIES[wanted.block]
    told = _told(learnt, found, wanted.block, strategy, id=id, now=now, customer=customer, fallback=fallback)
    return _described(msgspec.structs.replace(told, message_id=message_id), reordering)


def _is_for_sale(learnt: Learnt, block: Block, item: str, history: History) -> bool:
    """In stock, in her market, and nothing that the shop's rules leave out; what is not known is taken for it."""
    facts = learnt.facts(item)
    in_market = not facts.markets or not history.market or history.market in facts.markets
    return facts.available is not False and in_market and learnt.rules.may_show(block, item, facts)


def _chosen(
    learnt: Learnt,
    block: Block,
    history: History,
    limit: int,
    now: int,
    may_show: Callable[[str], bool],
    reordering: Reordering,
    resting: Set[str],
) -> list[Choice]:
    arrange, pinned = _arrange(learnt, block), learnt.rules.pinned(block)
    return choose(block, learnt.model, history, limit, now, may_show, arrange, pinned, reordering, resting)


def _arrange(learnt: Learnt, block: Block) -> Arrange:
    """How the shop's rules put the products of a block."""
    return partial(learnt.rules.arrange, block, facts=learnt.facts)


def _only_sells(found: Sequence[Choice]) -> bool:
    """Whether nothing of it was chosen for her."""
    return all(choice.reason in (POPULAR, PINNED) for choice in found)


def _sells(
    learnt: Learnt,
    block: Block,
    history: History,
    limit: int,
    may_show: Callable[[str], bool],
    resting: Set[str],
) -> list[Choice]:
    """What sells: of the kinds of products she came to last, then of all; nothing she has or is about to have.

    Where a block is for what is new to her, what she came to stands in only if there is nothing else.
    """
    arrange = _arrange(learnt, block)
    latest = islice(reversed(history.touched), CATEGORIES)
    categories = list(dict.fromkeys(learnt.facts(item).category for item in latest))
    hers = history.bought.keys() | history.in_cart

    def found(known: Set[str]) -> list[Choice]:
        def may_stand_in(item: str) -> bool:
            return item not in known and may_show(item)

        return popular(learnt.model, limit, may_stand_in, arrange, resting, [each for each in categories if each])

    new = found(hers | history.touched.keys()) if block in _NEW else []
    return new or found(hers)


def _filled(
    learnt: Learnt,
    block: Block,
    history: History,
    limit: int,
    may_show: Callable[[str], bool],
    resting: Set[str],
    found: list[Choice],
) -> list[Choice]:
    """Where more was left out than there were candidates, what sells comes behind them."""
    if len(found) >= limit:
        return found
    there = {choice.item for choice in found} | history.touched.keys() | history.bought.keys() | history.in_cart
    more = popular(
        learnt.model,
        limit - len(found),
        lambda item: item not in there and may_show(item),
        _arrange(learnt, block),
        resting,
    )
    least = found[-1].score
    return found + [choice._replace(score=min(choice.score, least)) for choice in more]


def _described(told: Recommendation, reordering: Reordering) -> Recommendation:
    if told.fallback or told.strategy == HISTORY:
        return told
    return msgspec.structs.replace(told, features=reordering.described([each.item for each in told.items]))


def _told(
    learnt: Learnt,
    found: Sequence[Choice],
    block: Block,
    strategy: str,
    *,
    id: str,
    now: int,
    customer: str,
    fallback: bool,
) -> Recommendation:
    return Recommendation(
        recommendation_id=id,
        at=format_instant(now),
        customer=customer,
        block=block,
        strategy=strategy,
        model="" if fallback or _STRATEGIES[block] == HISTORY else learnt.champion.name,
        fallback=fallback,
        items=tuple(_worded(learnt, choice) for choice in found),
    )


def _worded(learnt: Learnt, choice: Choice) -> Recommended:
    facts = learnt.facts(choice.item)
    return Recommended(
        item=choice.item,
        score=round(choice.score, 6),
        reason=choice.reason,
        because=choice.because,
        name=facts.name,
        price=str(facts.price.amount) if facts.price else "",
        currency=facts.price.currency if facts.price else "",
        url=facts.url,
        image_url=facts.image_url,
    )
