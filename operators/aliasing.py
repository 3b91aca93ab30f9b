"""The anonymous side of a claim: who claims her, when she was read past that moment, and where she goes from there.

All of it changes the customer's record, and adds words to the shard of whoever claims her.  Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from zlib import crc32

import msgspec

from operators.effects import Effects
from operators.gates import first_gate
from state import customer as customers
from state import event_codec
from state.aliases import CLAIMERS_MAX, Alias, Coming, Refused
from state.customer import Customer
from state.decisions import Cause
from state.events import Aliased, Event, Identified, ProductChanged
from state.ids import event_hash
from state.passages import NEVER
from state.records import TopicPartition
from state.words import AnyWord, Ask, Claim, Forward, Kind, Merge, Received, Refusal, Told, Waiver

STATE_BYTES_MAX = 512 * 1024  # of one part of a merge: a log takes records of a megabyte


def announce(customer: Customer, known: str, claim_id: str, at: int) -> None:
    """An event that claims her was read: she does not pass its moment before the claim, or a waiver, has come."""
    if customer.known:
        return
    alias = customer.alias = customer.alias or Alias()
    customer.last_seen = max(customer.last_seen, at)
    if alias.shared or alias.has_heard(claim_id) or any(each.claim == claim_id for each in alias.coming):
        return
    if _whose(alias, at) == known:
        return
    # Who claimed her once is known for ever, and need not say so again.
    was_hers = known in alias.claimers
    _await(customer, Coming(known=known, claim=claim_id, at=at, is_said=was_hers))


def on_claim(customer: Customer, word: Claim, effects: Effects) -> None:
    known, claim_id, at = word.known, word.claim, word.at
    if customer.known:
        _refuse(customer, known, claim_id, at, "known", effects)
        return
    alias = customer.alias = customer.alias or Alias()
    if alias.has_heard(claim_id):
        return  # said twice
    alias.hear(claim_id)
    coming = next((each for each in alias.coming if each.claim == claim_id), None)
    if coming is not None:
        coming.is_said = True
    elif alias.shared:
        _refuse(customer, known, claim_id, at, "shared", effects)
    elif _whose(alias, at) == known:
        effects.words.append(Merge(known=known, anonymous=customer.id, claim=claim_id, at=at))
    else:
        _await(customer, Coming(known=known, claim=claim_id, at=at, is_said=True))


def on_waiver(customer: Customer, word: Waiver) -> None:
    alias = customer.alias = customer.alias or Alias()
    if not alias.has_heard(word.claim):
        alias.hear(word.claim)
        alias.coming = [each for each in alias.coming if each.claim != word.claim]


def on_received(customer: Customer, word: Received) -> None:
    alias = customer.alias = customer.alias or Alias()
    alias.received_by, alias.received = word.known, word.claim


def is_received(customer: Customer) -> bool:
    """Whether all that is known of her here another has already: she only goes her way again, up to the claim."""
    alias = customer.alias
    return alias is not None and bool(alias.received) and not alias.of


def become(customer: Customer, coming: Coming, clock: int, held: Iterable[Event], effects: Effects) -> None:
    """The moment of a claim has come, and all she did by then was read: from here on she is whoever claims her.

    `held` are events of hers that were read and come later.
    """
    alias = customer.alias
    assert alias is not None
    alias.coming = [each for each in alias.coming if each is not coming]
    known, claim_id, at = coming.known, coming.claim, coming.at
    if customer.known:
        _refuse(customer, known, claim_id, at, "known", effects)
        return
    if alias.shared or (known not in alias.claimers and len(alias.claimers) >= CLAIMERS_MAX):
        # So many people are not one: what comes from here on is nobody's but its own.
        if not alias.shared:
            alias.of, alias.since, alias.shared = "", at, True
        _refuse(customer, known, claim_id, at, "shared", effects)
        return
    state = b"" if alias.claimers else _emptied(customer, alias, held)
    effects.words += _merge(Merge(known=known, anonymous=customer.id, claim=claim_id, at=at, told=clock), state)
    if at >= alias.since:
        alias.of, alias.claim, alias.since = known, claim_id, at
    if known not in alias.claimers:
        alias.claimers.append(known)


def is_alias(customer: Customer) -> bool:
    return customer.alias is not None and bool(customer.alias.of)


def forward(customer: Customer, event: Event, cause: Cause, appended_at: float, effects: Effects) -> None:
    """She is somebody else: an event of hers goes there.  What it claims itself is claimed by nobody."""
    if isinstance(event, ProductChanged):
        return  # the news are in every shard, also in that of who she is by now
    if isinstance(event, Identified) and event.anonymous:
        event = msgspec.structs.replace(event, anonymous="")
    elif isinstance(event, Aliased) and event.previous_id:
        event = msgspec.structs.replace(event, previous_id="")
    _forward(customer, "event", event_codec.encode(event), cause, effects, event.at, appended_at)


def forward_record(
    customer: Customer, kind: Kind, value: bytes, tp: TopicPartition, offset: int, effects: Effects
) -> None:
    """Any other record that came for her."""
    _forward(customer, kind, value, Cause(tp.topic, tp.partition, offset), effects)


def _forward(
    customer: Customer,
    kind: Kind,
    value: bytes,
    cause: Cause,
    effects: Effects,
    at: int = 0,
    appended_at: float = 0.0,
) -> None:
    alias = customer.alias
    assert alias is not None
    effects.words.append(
        Forward(
            known=alias.of or alias.received_by,
            anonymous=customer.id,
            claim=alias.claim or alias.received,
            at=at,
            kind=kind,
            topic=cause.topic,
            partition=cause.partition,
            offset=cause.offset,
            value=value,
            appended_at=appended_at,
        )
    )


# -- how far she has been read


def on_ask(customer: Customer, word: Ask) -> None:
    alias = customer.alias = customer.alias or Alias()
    alias.asks[word.known] = max(word.at, alias.asks.get(word.known, 0))


def tell(customer: Customer, clock: int, effects: Effects) -> None:
    """Answer those who asked, as far as the clock has come and no gate holds anything back.

    Not before, whoever asks: a shard put back must first learn again whose she is.
    """
    alias = customer.alias
    if alias is None or not alias.asks:
        return
    gate = first_gate(customer)
    reached = clock if gate is None else min(clock, gate.at)
    for known, at in list(alias.asks.items()):
        if at > reached:
            continue
        del alias.asks[known]
        ended = alias.of != known
        since = alias.since if known in alias.claimers else NEVER
        effects.words.append(Told(known=known, anonymous=customer.id, at=since if ended else reached, ended=ended))


def first_ask(customer: Customer) -> int:
    alias = customer.alias
    return min(alias.asks.values(), default=NEVER) if alias is not None else NEVER


def in_order(effects: Effects) -> None:
    """What is forwarded stands in the order of the log, and before all that says so."""
    if len(effects.words) > 1:
        effects.words.sort(key=_place)
        merges = {word.claim: word.at for word in effects.words if isinstance(word, Merge)}
        if merges:
            effects.words = [_around_merge(word, merges, effects.words) for word in effects.words]


def _around_merge(word: AnyWord, merges: Mapping[str, int], words: Iterable[AnyWord]) -> AnyWord:
    """What stands before a merge tells its moment, and the merge how far that goes."""
    if isinstance(word, Forward) and word.claim in merges:
        return msgspec.structs.replace(word, since=merges[word.claim])
    if isinstance(word, Merge):
        before = {each.place: each.offset for each in words if isinstance(each, Forward) and each.claim == word.claim}
        return msgspec.structs.replace(word, forwarded=before)
    return word


def _place(word: object) -> tuple[int, str, int, int]:
    if isinstance(word, Forward):
        return 0, word.topic, word.partition, word.offset
    return 1, "", 0, 0


def _await(customer: Customer, coming: Coming) -> None:
    alias = customer.alias
    assert alias is not None
    alias.coming.append(coming)
    customer.unindexed += customer.interests  # as whoever claims her she may wait for any of them


def _emptied(customer: Customer, alias: Alias, held: Iterable[Event]) -> bytes:
    """All that is known of her, which from now on is known of another; it remembers no event that was not taken in."""
    alias.moving = {each.message_id: each.attempt for each in customer.pending if each.awaiting}
    kept = Customer(
        id=customer.id,
        first_seen=customer.first_seen,
        last_seen=customer.last_seen,
        recent=customer.recent,
        held=customer.held,
        event_timer=customer.event_timer,
        wall_timer=customer.wall_timer,
        alias=alias,
        unindexed=[*customer.unindexed, *customer.interests],  # she waits for nothing any more
        changes_heard=customer.changes_heard,
        woken=customer.woken,
        arrivals=customer.arrivals,
    )
    customer.alias, customer.arrivals, customer.held = None, None, 0
    customer.forget(event_hash(event.id) for event in held)
    state = customers.encode(customer)
    for field in customer.__struct_fields__:
        setattr(customer, field, getattr(kept, field))
    return state


def _whose(alias: Alias, at: int) -> str:
    """Whose she is at this moment, if all who claim her by then do."""
    before = [each for each in alias.coming if each.at <= at]
    return max(before, key=lambda each: (each.at, each.claim)).known if before else alias.of


def _merge(word: Merge, state: bytes) -> list[Merge]:
    parts = [state[start : start + STATE_BYTES_MAX] for start in range(0, len(state), STATE_BYTES_MAX)] or [b""]
    digest = crc32(state)
    return [
        msgspec.structs.replace(word, part=number, parts=len(parts), state=part, digest=digest)
        for number, part in enumerate(parts)
    ]


def _refuse(customer: Customer, known: str, claim_id: str, at: int, reason: Refused, effects: Effects) -> None:
    effects.words.append(Refusal(known=known, anonymous=customer.id, claim=claim_id, at=at, reason=reason))
