"""Recommendations for the HTTP door: what the learner knows, applied to what a customer did.

What she did is in her shard, read beside its worker every few seconds, since to catch up with one costs milliseconds;
what she did since, and what answers showed her, is followed in the log.  All but that runs on the one thread that the
door gives it.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from config.settings import Settings
from flows import worker_doors as doors
from flows.catalog import load
from flows.serve_following import Following
from flows.serve_kept import Kept, KeptAnswers, Key, Versions
from operators.recommender import answers
from operators.recommender.histories import history_of
from operators.recommender.reading import Learnt
from state import customer as customers
from state.customer import Customer
from state.ids import Ids, shard_of
from state.item_store import ItemStore
from state.recommendations import TOPIC, Block, History, Recommendation
from state.rocks import Memory
from state.store import Resources, ShardStore
from state.store_errors import StoreError
from state.store_reading import ShardReading

log = logging.getLogger("impuls.serve")

SHARD_SECONDS = 5.0  # how old a shard may be as it is read; what came since is followed
APART_SECONDS = 0.05  # no two are read anew at once: who asks meanwhile is answered from an older one,
SHARD_SECONDS_MAX = 60.0  # but no older than that
_encode = msgspec.json.Encoder().encode


class Recommending:
    """`scratch` is a folder of its own, which others remove.  Implements `connectors.recommendations.Recommender`."""

    def __init__(self, settings: Settings, ids: Ids, scratch: Path) -> None:
        self._settings, self._ids, self._scratch = settings, ids, scratch
        self._memory = Memory(settings.recommender.cache_mib, 8)
        self._learnt = Learnt(self._open_items, rules=load(settings.flows).rules)
        self._resources: Resources | None = None
        self._shards: dict[int, tuple[ShardReading, float]] = {}
        self._refresh_at = 0.0
        self._kept = KeptAnswers()
        self._writer = doors.open_writer(settings)
        self._following = Following(settings)
        self._following.start()

    def recommend(self, customer: str, block: Block, limit: int, exclude: frozenset[str]) -> Recommendation:
        """Kept until she does something new, one of it is sold out, or it is too old (`serve_kept`); logged once."""
        key = (customer, block, limit, exclude)

        def answered() -> Recommendation:
            now = time.time()
            if (standing := self._standing(key, now)) is not None:
                return standing
            history, versions = self._history(customer)
            made = answers.recommend(
                self._learnt,
                history,
                block,
                limit,
                id=secrets.token_hex(16),
                now=round(now * 1000),
                customer=customer,
                exclude=exclude,
                describe=True,
            )
            return self._told(key, versions, now, made)

        return self._always(answered)

    def similar(self, item: str, limit: int) -> Recommendation:
        """Logged like what is for a customer, and kept for a shorter time."""
        key: Key = (item, "similar", limit, frozenset())

        def answered() -> Recommendation:
            now = time.time()
            if (standing := self._standing(key, now)) is not None:
                return standing
            made = answers.similar(self._learnt, item, limit, id=secrets.token_hex(16), now=round(now * 1000))
            return self._told(key, {}, now, made)

        return self._always(answered)

    def prepare(self, shard: int) -> None:
        """Open a shard before somebody waits for it."""
        with suppress(StoreError):
            self._shard(shard)

    def close(self) -> None:
        self._following.stop()
        self._writer.close()
        self._learnt.close()
        for shard, _ in self._shards.values():
            shard.close()

    def _always(self, answered: Callable[[], Recommendation]) -> Recommendation:
        """From what was learnt; where that cannot be read, from what is known without it until it is opened again."""
        try:
            self._learnt.refresh()
            return answered()
        except StoreError as error:
            log.warning("recommender not read", extra={"fact": str(error)})
            self._learnt.close()
            return answered()

    def _standing(self, key: Key, now: float) -> Recommendation | None:
        """What was answered lately and would still be."""
        kept = self._kept.get(key, now)
        if kept is None:
            return None
        recent, facts = self._following.recent, self._learnt.facts
        if any(recent.version(who) != version for who, version in kept.versions.items()):
            return None
        return None if any(facts(each.item).available is False for each in kept.answer.items) else kept.answer

    def _told(self, key: Key, versions: Versions, now: float, made: Recommendation) -> Recommendation:
        # Best effort: an answer is not held up because the log is full.
        self._writer.send(TOPIC, made.customer.encode(), _encode(made))
        answer = msgspec.structs.replace(made, features=()) if made.features else made
        if answer.items:
            self._kept.put(key, Kept(versions, now, answer))
        return answer

    def _history(self, customer: str) -> tuple[History, Versions]:
        record = self._record(customer)
        who = customer
        if record is not None and record.alias is not None and record.alias.of:
            who = record.alias.of  # she was anonymous, and is known by now
            record = self._record(who)
        history = history_of(record) if record is not None else History()
        versions = {each: self._following.recent.version(each) for each in (customer, who)}
        for each in dict.fromkeys((customer, who)):
            history = self._following.recent.added_to(history, each)
        links = record.joined.links if record is not None and record.joined is not None else ()
        for each in dict.fromkeys((customer, who, *(link.anonymous for link in links if link.merged))):
            history = self._following.shown.added_to(history, each)
        return history, versions

    def _record(self, customer: str) -> Customer | None:
        """What her shard had written of her lately; None where it had nothing, or cannot be read just now."""
        chash = self._ids.customer(customer.encode())
        try:
            raw = self._shard(shard_of(chash, self._settings.shards)).customer(chash)
        except StoreError as error:
            log.warning("shard not read", extra={"fact": str(error)})
            return None
        return customers.decode(raw) if raw is not None else None

    def _shard(self, number: int) -> ShardReading:
        now = time.monotonic()
        opened, read_at = self._shards.get(number, (None, 0.0))
        is_due = now - read_at > (SHARD_SECONDS if now >= self._refresh_at else SHARD_SECONDS_MAX)
        if opened is not None and is_due and opened.is_outdated:
            del self._shards[number]
            opened.close()
            opened = None
        if opened is None:
            if self._resources is None:
                self._resources = Resources.open_reading(self._settings.data_dir)
            opened = ShardStore.open_reading(self._settings.data_dir, number, self._scratch, resources=self._resources)
        elif is_due:
            opened.refresh()
        else:
            return opened
        now = time.monotonic()
        self._shards[number] = (opened, now)
        self._refresh_at = now + APART_SECONDS
        return opened

    def _open_items(self) -> ItemStore | None:
        return ItemStore.open_reading(self._settings.data_dir, self._scratch, self._memory)
