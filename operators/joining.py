"""The known side of a claim: who was anonymous before, what of it has come, and how far it was read.

All of it changes the customer's record, and adds words to the shards of her anonymous ids.  Pure.
"""

from __future__ import annotations

from operators.effects import Effects
from state.aliases import LINKS_MAX, MARKS_MAX, MERGES_MAX, NOTES_MAX, Joined, Link, Refused, has_mark, with_mark
from state.claims import is_nobody, named
from state.customer import Customer
from state.decisions import Cause
from state.events import Event
from state.ids import Ids
from state.passages import NEVER
from state.words import Ask, Claim, Forward, Merge, Refusal, Told, Waiver

LIVE_MS = 30 * 86_400_000  # an id that was not heard of for so long is not asked any more


def claim(customer: Customer, event: Event, cause: Cause, ids: Ids, effects: Effects) -> None:
    """An event of hers names an anonymous id: claim it, where that is still to be done."""
    anonymous = named(event)
    if not anonymous:
        return
    if is_nobody(anonymous) or is_nobody(customer.id):
        _note(customer, anonymous, "nobody")
        effects.refused.append("nobody")
        return
    customer.known = True
    link = _link(customer, anonymous)
    if link is not None and link.merged:
        # Whom she claimed once the other shard remembers: its alias moves by the event alone.
        link.ended = False
        customer.unindexed += customer.interests
        link.at, link.heard_at = max(link.at, event.at), max(link.heard_at, event.at)
        return
    claim_id = claim_of(customer.id, anonymous, cause, ids)
    if link is None:
        _add(customer, Link(anonymous=anonymous, claim=claim_id, at=event.at, heard_at=event.at))
    effects.words.append(Claim(known=customer.id, anonymous=anonymous, claim=claim_id, at=event.at))


def waive(known: str, anonymous: str, cause: Cause, ids: Ids, effects: Effects) -> None:
    """A record that looked like a claim makes none; whoever it names waits for word of it."""
    if anonymous and not is_nobody(anonymous) and not is_nobody(known):
        claim_id = claim_of(known, anonymous, cause, ids)
        effects.words.append(Waiver(known=known, anonymous=anonymous, claim=claim_id))


def claim_of(known: str, anonymous: str, cause: Cause, ids: Ids) -> str:
    return ids.claim(known, anonymous, f"{cause.topic}/{cause.partition}/{cause.offset}")


def on_refusal(customer: Customer, word: Refusal) -> None:
    joined = customer.joined
    if joined is not None:
        joined.links = [link for link in joined.links if link.merged or link.claim != word.claim]
    _note(customer, word.anonymous, word.reason)


def on_merge(customer: Customer, word: Merge) -> Link:
    """Keep a part of what was known of her before; it is taken in at its moment."""
    link = _link(customer, word.anonymous) or _expect(customer, word, word.at)
    if link.claim == word.claim and not link.has_come:
        if link.digest != word.digest:  # a shard put back says it anew, and not quite alike
            link.parts, link.parts_count, link.digest = {}, word.parts, word.digest
        link.parts[word.part] = word.state
        if link.has_come:
            for place, offset in word.forwarded.items():
                _mark(link, place, offset)
    elif link.claim == word.claim and not link.merged and word.parts == 1 and link.digest != word.digest:
        link.again = word.state
    link.told = max(link.told, word.told)
    return link


def taken_in(customer: Customer, link: Link) -> bytes:
    """The moment of a merge has come: what it says."""
    state = b"".join(link.parts[part] for part in range(link.parts_count))
    joined = customer.joined
    assert joined is not None
    if not link.merged:
        link.merged = True
        joined.merges = with_mark(joined.merges, link.claim, MERGES_MAX)
    link.parts, link.parts_count, link.digest = {}, 0, -1
    return state


def is_new(customer: Customer, word: Forward) -> bool:
    """Whether a forwarded record has not come in yet; from now on it has."""
    link = _link(customer, word.anonymous)
    if link is None and word.since:
        link = _expect(customer, word, word.since)
    if link is None:
        return True
    link.heard_at = max(link.heard_at, word.at)
    if not link.merged and not link.has_come:
        return True  # a shard put back before its merge was written may merge less, and forward what came before this
    if word.offset <= link.marks.get(word.place, -1):
        return False
    _mark(link, word.place, word.offset)
    return True


def came_twice(customer: Customer, event: Event) -> bool:
    """Whether an event that was held came with a merge as well: a shard put back forwards what it had taken in."""
    joined = customer.joined
    return joined is not None and any(link.twice and has_mark(link.twice, event.id) for link in joined.links)


# -- how far her other ids have been read


def read_up_to(customer: Customer, clock: int) -> int:
    """The moment up to which all that is forwarded to her has come in."""
    joined = customer.joined
    if joined is None:
        return NEVER
    return min([link.told for link in joined.links if _is_live(link, clock)], default=NEVER)


def has_aliases(customer: Customer) -> bool:
    return customer.joined is not None and any(link.merged and not link.ended for link in customer.joined.links)


def ask(customer: Customer, clock: int, effects: Effects) -> None:
    """Ask the shards of her other ids to say when they have come as far as this one."""
    joined = customer.joined
    assert joined is not None
    joined.asked = clock
    for link in joined.links:
        if _is_live(link, clock) and link.told < clock:
            effects.words.append(Ask(known=customer.id, anonymous=link.anonymous, at=clock))


def on_told(customer: Customer, word: Told) -> None:
    link, joined = _link(customer, word.anonymous), customer.joined
    if link is None or joined is None:
        return
    if not word.ended:
        link.told = max(link.told, word.at)
    elif word.at == NEVER:
        joined.links.remove(link)  # nobody remembers her: she may be claimed anew
    elif word.at > link.at:
        link.ended = True
    if joined.asked and read_up_to(customer, joined.asked) >= joined.asked:
        joined.asked = 0


def _mark(link: Link, place: str, offset: int) -> None:
    link.marks.pop(place, None)
    link.marks[place] = offset
    while len(link.marks) > MARKS_MAX:
        del link.marks[next(iter(link.marks))]


def _is_live(link: Link, clock: int) -> bool:
    return link.merged and not link.ended and link.heard_at > clock - LIVE_MS


def _link(customer: Customer, anonymous: str) -> Link | None:
    links = customer.joined.links if customer.joined is not None else ()
    return next((link for link in links if link.anonymous == anonymous), None)


def _expect(customer: Customer, word: Merge | Forward, at: int) -> Link:
    """A shard put back reads what was said of a claim before the event that made it."""
    merged = customer.joined is not None and has_mark(customer.joined.merges, word.claim)
    link = Link(anonymous=word.anonymous, claim=word.claim, at=at, heard_at=at, merged=merged)
    _add(customer, link)
    return link


def _add(customer: Customer, link: Link) -> None:
    joined = customer.joined = customer.joined or Joined()
    joined.links.append(link)
    customer.unindexed += customer.interests  # with what she is about to learn of herself she may wait for any of them
    while len(joined.links) > LINKS_MAX:
        settled = [each for each in joined.links if each.merged and not each.parts]
        if not settled:
            break
        joined.links.remove(min(settled, key=lambda each: (each.heard_at, each.anonymous)))


def _note(customer: Customer, anonymous: str, reason: Refused) -> None:
    joined = customer.joined = customer.joined or Joined()
    joined.notes.pop(anonymous, None)
    joined.notes[anonymous] = reason
    while len(joined.notes) > NOTES_MAX:
        del joined.notes[next(iter(joined.notes))]
