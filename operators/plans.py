"""What is known of a flow before anybody comes to it, so that nobody has to wait for it to be found out again."""

from __future__ import annotations

from typing import Any

from operators.flow import Flow
from operators.steps import Wait


def first_rest(flow: Flow[Any]) -> tuple[str, int] | None:
    """The wait, and its length (ms), of a flow whose first step is a wait of the same length for everybody."""
    step = flow.steps[0] if flow.steps else None
    if not isinstance(step, Wait) or step.local is not None or step.moment is not None or step.spread:
        return None
    return step.name, step.at_most_ms


def hears_unguarded(flow: Flow[Any]) -> bool:
    """Whether nothing of the flow's own code is asked when one who rests in it, or does not, does something.

    What it says after its waits is another matter: it is asked when they end, under a guard.
    """
    triggers = (flow.enter, *flow.leave)
    waits = any(wait.until is not None for wait, _ in flow.after.values())
    return not waits and all(trigger.where is None for trigger in triggers)
