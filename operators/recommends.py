"""How a template says that it shows recommendations; the courier chooses them when it sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from operators.faults import FlowError
from state.recommendations import Block

COUNT_MAX = 24


@dataclass(frozen=True)
class Recommend:
    """`count` products of a block, as `recommended` in the template; with fewer than `at_least` there is no message."""

    block: Block
    count: int
    at_least: int

    def __post_init__(self) -> None:
        if self.block not in get_args(Block) or self.block == "similar":
            raise FlowError(
                f'recommend("{self.block}"): there is no such block. It is "abandoned", "buy_again" or "discover".'
            )
        if not 0 <= self.at_least <= self.count <= COUNT_MAX or self.count < 1:
            raise FlowError(
                f'recommend("{self.block}", {self.count}, at_least={self.at_least}): a message shows 1 to {COUNT_MAX} '
                "products, and asks for no more than it shows."
            )


def recommend(block: Block, count: int, *, at_least: int = 1) -> Recommend:
    """Products chosen when the message is sent.

    Where fewer than `at_least` are found that she was not shown too often, the message is not sent (`no_content`), and
    what goes in its place is said by `send(..., otherwise=...)`. With 0 it is sent with what there is, be it none.
    """
    return Recommend(block, count, at_least)
