"""What a shop wants of its recommendations, whatever is learnt: rules as values, written beside the flows.

    RULES = [pin("p7"), boost(is_ours, by=1.5), bury(is_a_voucher), leave_out(is_for_staff), at_most_alike(2),
             at_most_shown(5, rest=days(30))]

They are applied before the list is cut, so that it stays full while there is enough, and alike wherever products are
recommended: over HTTP, in messages, and when they are computed for everybody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal

from operators.faults import FlowError
from operators.recommender.blocks import Choice
from operators.recommender.shown import FORGET_MS, came_since
from state.recommendations import Block, History, ItemFacts

Condition = Callable[[str, ItemFacts], bool]
"""Of a product's id and what is known of it."""
PINNED_MAX = 24
SHOWN_TIMES_MAX = 100
EVERYWHERE: tuple[Block, ...] = ("abandoned", "buy_again", "discover", "similar")


@dataclass(frozen=True)
class Pin:
    """These products first, in this order, whether learnt or not; where one may not be shown it is left out."""

    items: tuple[str, ...]
    blocks: tuple[Block, ...] = ("discover",)


@dataclass(frozen=True)
class Weigh:
    """Scores of these products times `by`; with 0 they stand behind all others."""

    where: Condition
    by: float
    blocks: tuple[Block, ...] = EVERYWHERE


@dataclass(frozen=True)
class LeaveOut:
    where: Condition
    blocks: tuple[Block, ...] = EVERYWHERE


@dataclass(frozen=True)
class AtMostAlike:
    """So many of one category or such; what is too many stands behind, so that the list stays full."""

    count: int
    alike: Literal["category"] = "category"
    blocks: tuple[Block, ...] = ("discover", "similar")


@dataclass(frozen=True)
class AtMostShown:
    """What was shown to her so often without her coming to it rests for so long since; with None nothing does."""

    times: int | None = 3
    rest_ms: int = 14 * 86_400_000
    blocks: tuple[Block, ...] = ("discover",)


Rule = Pin | Weigh | LeaveOut | AtMostAlike | AtMostShown
_UNLESS_SAID = AtMostShown()


def pin(*items: str, blocks: Sequence[Block] = ("discover",)) -> Rule:
    """Raises `FlowError`, as all of these do."""
    if not items or len(set(items)) < len(items) or len(items) > PINNED_MAX:
        raise FlowError(f"pin({', '.join(items)}): name 1 to {PINNED_MAX} products, each once.")
    return Pin(items, _blocks("pin", blocks))


def boost(where: Condition, *, by: float, blocks: Sequence[Block] = EVERYWHERE) -> Rule:
    if not 1 < by <= 1000:
        raise FlowError(f"boost(…, by={by:g}): that is not above 1 and up to 1000. Something like 1.5 will do.")
    return Weigh(_named("boost", where), by, _blocks("boost", blocks))


def bury(where: Condition, *, by: float = 0.0, blocks: Sequence[Block] = EVERYWHERE) -> Rule:
    """Behind all others; with `by` only as far as a score times so much goes."""
    if not 0 <= by < 1:
        raise FlowError(f"bury(…, by={by:g}): that is not between 0 and 1. Leave it out, or something like 0.2.")
    return Weigh(_named("bury", where), by, _blocks("bury", blocks))


def leave_out(where: Condition, *, blocks: Sequence[Block] = EVERYWHERE) -> Rule:
    return LeaveOut(_named("leave_out", where), _blocks("leave_out", blocks))


def at_most_alike(count: int, *, blocks: Sequence[Block] = ("discover", "similar")) -> Rule:
    if count < 1:
        raise FlowError(f"at_most_alike({count}): then there is nothing to show. Something like 2 will do.")
    return AtMostAlike(count, blocks=_blocks("at_most_alike", blocks))


def at_most_shown(
    times: int | None, *, rest: timedelta = timedelta(days=14), blocks: Sequence[Block] = ("discover",)
) -> Rule:
    """`None`: as often as it comes."""
    if times is not None and not 1 <= times <= SHOWN_TIMES_MAX:
        raise FlowError(
            f"at_most_shown({times}): that is not 1 to {SHOWN_TIMES_MAX}. Something like 3 will do, or None."
        )
    rest_ms = round(rest.total_seconds() * 1000)
    if not 0 < rest_ms <= FORGET_MS:
        raise FlowError(
            f"at_most_shown({times}, rest={rest}): that is not up to {FORGET_MS // 86_400_000} days, after which it is "
            "forgotten what was shown. Something like days(14) will do."
        )
    if "similar" in blocks:
        raise FlowError('at_most_shown(…, blocks=["similar"]): similar products are not shown to anybody we know.')
    return AtMostShown(times, rest_ms, _blocks("at_most_shown", blocks))


@dataclass(frozen=True)
class Rules:
    """All rules of a shop, in order."""

    rules: tuple[Rule, ...] = ()
    _by_block: dict[Block, tuple[Rule, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_block = {block: tuple(rule for rule in self.rules if block in rule.blocks) for block in EVERYWHERE}
        for block in _UNLESS_SAID.blocks:
            if not any(isinstance(rule, AtMostShown) for rule in by_block[block]):
                by_block[block] += (_UNLESS_SAID,)
        object.__setattr__(self, "_by_block", by_block)

    def pinned(self, block: Block) -> list[str]:
        """What stands first."""
        return [item for rule in self._by_block[block] if isinstance(rule, Pin) for item in rule.items]

    def may_show(self, block: Block, item: str, facts: ItemFacts) -> bool:
        return not any(isinstance(rule, LeaveOut) and rule.where(item, facts) for rule in self._by_block[block])

    def resting(self, block: Block, history: History, now: int) -> frozenset[str]:
        """What she was shown too often of late."""
        if not history.shown:
            return frozenset()
        limits = [
            (rule.times, rule.rest_ms)
            for rule in self._by_block[block]
            if isinstance(rule, AtMostShown) and rule.times is not None
        ]
        return frozenset(
            item
            for item, shown in history.shown.items()
            if any(shown.times >= times and now - shown.at < rest_ms for times, rest_ms in limits)
            and not came_since(history, item, shown)
        )

    def arrange(self, block: Block, found: Iterable[Choice], facts: Callable[[str], ItemFacts]) -> Iterable[Choice]:
        """Candidates, best first, in the order that the rules give them; none is added or lost."""
        rules = self._by_block[block]
        weighs = [rule for rule in rules if isinstance(rule, Weigh)]
        if weighs:
            found = sorted((_weighed(choice, weighs, facts) for choice in found), key=_order)
        for rule in rules:
            if isinstance(rule, AtMostAlike):
                found = _spread(found, rule.count, facts)
        return found


NO_RULES = Rules()  # of the shop's own


def _weighed(choice: Choice, rules: Iterable[Weigh], facts: Callable[[str], ItemFacts]) -> Choice:
    score = choice.score
    for rule in rules:
        if rule.where(choice.item, facts(choice.item)):
            score *= rule.by
    return choice._replace(score=score)


def _order(choice: Choice) -> tuple[float, str]:
    return -choice.score, choice.item


def _spread(found: Iterable[Choice], count: int, facts: Callable[[str], ItemFacts]) -> list[Choice]:
    seen, first, behind = Counter[str](), list[Choice](), list[Choice]()
    for choice in found:
        category = facts(choice.item).category
        seen[category] += 1
        (behind if category and seen[category] > count else first).append(choice)
    return first + behind


def _named(rule: str, where: Condition) -> Condition:
    if getattr(where, "__name__", "<lambda>") == "<lambda>":
        raise FlowError(f"{rule}(…): a condition without a name cannot be told of. Write it as a function with a name.")
    return where


def _blocks(rule: str, blocks: Sequence[Block]) -> tuple[Block, ...]:
    if isinstance(blocks, str) or not blocks or set(blocks) - set(EVERYWHERE):
        raise FlowError(f"{rule}(…, blocks={blocks!r}): there is no such block. There are {', '.join(EVERYWHERE)}.")
    return tuple(blocks)
