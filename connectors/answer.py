"""What one attempt at one message came to, as providers of every channel say it."""

from __future__ import annotations

from typing import NamedTuple

from state.messages import Result


class Answer(NamedTuple):
    """See `state.messages.Delivery`.

    `provider` is who gave it, where a channel has more than one.  `gone` are those of the message's addresses that
    nobody has any more, as the provider got them; they are told as keyed hashes.
    """

    result: Result
    detail: str = ""
    permanent_address: bool = False
    retry_after_seconds: float = 0.0
    provider: str = ""
    gone: tuple[str, ...] = ()
