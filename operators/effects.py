"""What a transition asks of the world: decisions to keep, messages to hand on, failures to set aside."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

import msgspec

from operators.experiments import Drawn
from state.decisions import Cause, Decision
from state.events import Event
from state.messages import Message
from state.words import AnyWord

Mark = tuple[int, int, int, int]


@dataclass(slots=True)
class FlowFault:
    """A flow's own code raised: what it was about to do, and the traceback."""

    flow: str
    fact: Event
    wait: str  # empty: at the event itself, not at a wake
    passage: str
    due: int
    cause: Cause
    error: str


class Effects(msgspec.Struct):
    decisions: list[Decision] = []
    messages: list[Message] = []
    faults: list[FlowFault] = []
    drawn: list[Drawn] = []  # arms that customers got for good
    entered: list[tuple[str, str]] = []  # flow and version
    shadowed: list[Decision] = []  # what versions in the shadow would have decided
    words: list[AnyWord] = []  # for the shards of her other ids
    refused: list[str] = []  # claims of hers that were refused at once: why
    lost: int = 0  # messages nobody told the result of before they expired

    @property
    def any(self) -> bool:
        """Whether there is something to write down or to hand on."""
        return bool(
            self.decisions
            or self.messages
            or self.faults
            or self.words
            or self.refused
            or self.drawn
            or self.entered
            or self.shadowed
            or self.lost
        )

    def mark(self) -> Mark:
        return len(self.decisions), len(self.messages), len(self.drawn), len(self.entered)

    def take_back(self, mark: Mark) -> None:
        del self.decisions[mark[0] :]
        del self.messages[mark[1] :]
        del self.drawn[mark[2] :]
        del self.entered[mark[3] :]


def told(error: Exception) -> str:
    """The traceback without the values: an exception's own text may hold what it stumbled over."""
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    where = "\n".join(
        f"  {frame.filename.rsplit('/', 1)[-1]}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames
    )
    return f"{type(error).__name__}\n{where}"
