"""What every message is given besides its content: who the shop is, and the link to hear no more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from connectors.tokens import Tokens, UnsubscribeToken
from state.messages import Message


class Links:
    """`public_url` is where `impuls serve` is found."""

    def __init__(self, tokens: Tokens, public_url: str, shop_name: str, wall: Callable[[], float] = time.time) -> None:
        self._tokens, self._wall, self._shop_name = tokens, wall, shop_name
        self._public_url = public_url.rstrip("/")

    def unsubscribe_url(self, message: Message) -> str:
        """Empty for a transactional message: there is nothing to unsubscribe from."""
        if message.kind != "marketing":
            return ""
        token = self._tokens.seal(
            UnsubscribeToken(message.customer, message.channel, message.topic, message.message_id, round(self._wall()))
        )
        return f"{self._public_url}/u/{token}"

    def content(self, message: Message) -> dict[str, Any]:
        """All that a template is rendered with."""
        return {
            "recommended": [],  # where nobody chose any
            **message.content,
            "unsubscribe_url": self.unsubscribe_url(message),
            "shop_url": self._public_url,
            "shop_name": self._shop_name,
        }
