"""What a message recommends, chosen when it is sent, from what the learner has written until then."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from config.settings import Settings
from operators.recommender import answers
from operators.recommender.reading import Learnt
from operators.recommender.rules import Rules
from state.item_store import ItemStore
from state.messages import Message
from state.recommendations import TOPIC, ItemFacts, Wanted
from state.records import Writer
from state.rocks import Memory
from state.store_errors import StoreError

log = logging.getLogger("impuls.courier")

_encode = msgspec.json.Encoder().encode


class Choosing:
    """`connectors.courier.Chooser`.  Reads on a thread of its own; `scratch` is a folder that others remove."""

    def __init__(self, settings: Settings, writer: Writer, scratch: Path, rules: Rules) -> None:
        memory = Memory(settings.recommender.cache_mib, 8)
        self._learnt = Learnt(lambda: ItemStore.open_reading(settings.data_dir, scratch, memory), rules=rules)
        self._writer = writer
        self._thread = ThreadPoolExecutor(1, "choose")

    async def __call__(self, message: Message, wanted: Wanted) -> Sequence[Mapping[str, Any]] | None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.run_in_executor(self._thread, self._choose, message, wanted)
        except StoreError as error:
            log.warning("recommendations not read", extra={"fact": str(error)})
            return None
        if found is None:
            return None
        logged, shown = found
        # Best effort: a message is not held up because the log is full.
        self._writer.send(TOPIC, message.customer.encode(), logged)
        return shown

    def close(self) -> None:
        self._thread.submit(self._learnt.close).result()
        self._thread.shutdown()

    def _choose(self, message: Message, wanted: Wanted) -> tuple[bytes, Sequence[Mapping[str, Any]]] | None:
        self._learnt.refresh()
        made = answers.for_message(
            self._learnt,
            wanted,
            id=secrets.token_hex(16),
            now=round(time.time() * 1000),
            customer=message.customer,
            message_id=message.message_id,
        )
        if made is None:
            return None
        return _encode(made), [_shown(each.item, self._learnt.facts(each.item)) for each in made.items]


def _shown(item: str, facts: ItemFacts) -> Mapping[str, Any]:
    """A product as templates show any."""
    return {
        "product_id": item,
        "name": facts.name,
        "price_minor": facts.price.minor if facts.price else None,
        "currency": facts.price.currency if facts.price else "",
        "url": facts.url,
        "image_url": facts.image_url,
    }
