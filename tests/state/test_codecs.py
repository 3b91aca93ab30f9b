"""Bytes at rest: what was written by this version is read by every later one, and newer bytes are refused.

The fixtures are what the first release wrote.  A test that fails here means that stores in the field could
not be read any more: add a field at the end, with a default, and leave the fixtures as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from state import customer as customers
from state import dead_letters, decisions, event_codec
from state.carts import Cart, CartChanged, Line
from state.codec import KEY_BYTES, KEY_ID_BYTES, VERSION, Codec, Key
from state.customer import Consent, Customer, Sent, Traits
from state.dead_letters import DeadLetter
from state.decisions import Cause, Decision
from state.events import OrderCompleted, OrderLine, ProductAdded, Tracked
from state.messages import Delivery, Message
from state.money import Money
from state.passages import Passage, Pending
from state.store_errors import KeyLost, StoreDamaged, StoreRefused

ADDED = ProductAdded(
    id="m1",
    customer="anna",
    at=1767614400000,
    locale="pl-PL",
    time_zone="Europe/Warsaw",
    product_id="p1",
    name="Socks",
    price=Money(1999, "PLN"),
    quantity=2,
    cart_id="k1",
)
ORDERED = OrderCompleted(
    id="m2", customer="anna", at=1767614460000, order_id="o1", cart_id="k1", products=(OrderLine("p1", 2),)
)
CHANGED = CartChanged(
    id="m1", customer="anna", at=1767614400000, cart_id="k1", lines=(Line("p1", 2, 1767614400000),), currency="PLN"
)
POEM = Tracked(id="m3", customer="anna", at=1767614400000, name="Poem Read", properties={"verse": [1, None, "x"]})
PASSAGE = Passage(
    flow="abandoned_cart",
    subject="k1",
    id="00ff",
    wait="cooling_off",
    until=1767618000000,
    entered_at=1767614400000,
    event=event_codec.encode(CHANGED),
)
PENDING = Pending(
    message_id="aa00",
    flow="abandoned_cart",
    subject="k1",
    passage="00ff",
    entered_at=1767614400000,
    step="cooling_off/cart_reminder/1",
    wait="cooling_off",
    template="cart_reminder",
    event=event_codec.encode(CHANGED),
    at=1767618000000,
    decisions=1,
    due=1767650400000,
    why="quiet_hours",
)
CUSTOMER = Customer(
    id="anna",
    first_seen=1767614300000,
    last_seen=1767614400000,
    events=3,
    recent=bytes(range(16)),
    traits=Traits(email="anna@example.com", first_name="Anna", time_zone="Europe/Warsaw", at=1767614300000),
    consents={"email/marketing": Consent(True, 1767614300000, "m0", 1)},
    suppressed={"00112233": "bounce"},
    carts={"k1": Cart("k1", 1767614400000, "m1", [Line("p1", 2, 1767614400000, Money(1999, "PLN"))], currency="PLN")},
    orders=1,
    last_order_at=1767610000000,
    passages=[PASSAGE],
    pending=[PENDING],
    sent=[Sent(1767614300000, "aa11")],
)
DECISION = Decision(
    decision_id="aa00-0",
    message_id="aa00",
    at="2026-01-05T13:00:00.000Z",
    customer="anna",
    flow="abandoned_cart",
    flow_version="f00d",
    passage="00ff",
    step="cooling_off/cart_reminder/1",
    message="cart_reminder",
    channel="email",
    kind="marketing",
    outcome="defer",
    reason="quiet_hours",
    until="2026-01-05T22:00:00.000Z",
    cause=Cause(timer="cooling_off", due="2026-01-05T13:00:00.000Z"),
    consent_id="m0",
)
MESSAGE = Message(
    message_id="aa00",
    attempt=1,
    customer="anna",
    flow="abandoned_cart",
    template="cart_reminder",
    channel="email",
    kind="marketing",
    topic="marketing",
    address="anna@example.com",
    content={"first_name": "Anna"},
    fresh_until=1767618600000,
)
DELIVERY = Delivery(message_id="aa00", at="2026-01-05T13:00:00.100Z", attempt=1, provider="smtp", result="accepted")
LETTER = DeadLetter(
    id="dd00",
    reason="not_json",
    topic="clickstream",
    partition=1,
    offset=17,
    bytes="e30=",
    length=2,
    sha256="44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
    error="the record is not JSON",
)

Encode = Callable[[Any], bytes]
Decode = Callable[[bytes], Any]
SAMPLES: dict[str, tuple[Any, Encode, Decode]] = {
    "customer": (CUSTOMER, customers.encode, customers.decode),
    "product added": (ADDED, event_codec.encode, event_codec.decode),
    "order completed": (ORDERED, event_codec.encode, event_codec.decode),
    "cart changed": (CHANGED, event_codec.encode, event_codec.decode),
    "plain event": (POEM, event_codec.encode, event_codec.decode),
    "decision": (DECISION, decisions.to_json, decisions.from_json),
    "message": (MESSAGE, msgspec.json.encode, msgspec.json.Decoder(Message).decode),
    "delivery": (DELIVERY, msgspec.json.encode, msgspec.json.Decoder(Delivery).decode),
    "dead letter": (LETTER, dead_letters.to_json, dead_letters.from_json),
}
WRITTEN = {
    "customer": bytes.fromhex(
        "dc0016a4616e6e61cf0000019b8e05bf60cf0000019b8e07460003c410000102030405060708090a0b0c0d0e0f99b0616e6e"
        "61406578616d706c652e636f6da0a4416e6e61a0a0ad4575726f70652f576172736177cf0000019b8e05bf60000081af656d"
        "61696c2f6d61726b6574696e6794c3cf0000019b8e05bf60a26d300181a83030313132323333a6626f756e636581a26b3197"
        "a26b31cf0000019b8e074600a26d319198a2703102cf0000019b8e07460092cd07cfa3504c4ea0a0a0a00000a3504c4e0100"
        "cf0000019b8dc4228000809199ae6162616e646f6e65645f63617274a26b31a430306666ab636f6f6c696e675f6f6666cf00"
        "00019b8e3e3480cf0000019b8e074600c43c99ac636172745f6368616e676564a26d31a4616e6e61cf0000019b8e074600a0"
        "a0a26b319198a2703102cf0000019b8e074600c0a0a0a0a0a3504c4ec20091dc0017a461613030ae6162616e646f6e65645f"
        "63617274a26b31a430306666cf0000019b8e074600bb636f6f6c696e675f6f66662f636172745f72656d696e6465722f31ab"
        "636f6f6c696e675f6f6666ad636172745f72656d696e646572c43c99ac636172745f6368616e676564a26d31a4616e6e61cf"
        "0000019b8e074600a0a0a26b319198a2703102cf0000019b8e074600c0a0a0a0a0a3504c4ecf0000019b8e3e348001cf0000"
        "019b902c970000c20000c2a0a0c0a0ab71756965745f686f757273c29192cf0000019b8e05bf60a4616131319000cf400000"
        "0000000000cf4000000000000000a0"
    ),
    "product added": bytes.fromhex(
        "9ea56164646564a26d31a4616e6e61cf0000019b8e074600a5706c2d504cad4575726f70652f576172736177a27031a5536f"
        "636b7392cd07cfa3504c4e02a0a0a0a26b31"
    ),
    "order completed": bytes.fromhex(
        "9ca76f726465726564a26d32a4616e6e61cf0000019b8e083060a0a0a26f31a26b31c0a09197a2703102c0a0a0a0a0a0"
    ),
    "cart changed": bytes.fromhex(
        "99ac636172745f6368616e676564a26d31a4616e6e61cf0000019b8e074600a0a0a26b319198a2703102cf0000019b8e0746"
        "00c0a0a0a0a0a3504c4e"
    ),
    "plain event": bytes.fromhex(
        "98a7747261636b6564a26d33a4616e6e61cf0000019b8e074600a0a0a9506f656d205265616481a576657273659301c0a178"
    ),
    "decision": (
        b'{"decision_id":"aa00-0","message_id":"aa00","at":"2026-01-05T13:00:00.000Z","customer":"an'
        b'na","flow":"abandoned_cart","flow_version":"f00d","passage":"00ff","step":"cooling_off/car'
        b't_reminder/1","message":"cart_reminder","channel":"email","kind":"marketing","outcome":"de'
        b'fer","reason":"quiet_hours","until":"2026-01-05T22:00:00.000Z","cause":{"timer":"cooling_o'
        b'ff","due":"2026-01-05T13:00:00.000Z"},"consent_id":"m0"}'
    ),
    "message": (
        b'{"message_id":"aa00","attempt":1,"customer":"anna","flow":"abandoned_cart","template":"car'
        b't_reminder","channel":"email","kind":"marketing","topic":"marketing","address":"anna@examp'
        b'le.com","content":{"first_name":"Anna"},"fresh_until":1767618600000}'
    ),
    "delivery": (
        b'{"message_id":"aa00","at":"2026-01-05T13:00:00.100Z","attempt":1,"provider":"smtp","result":"accepted"}'
    ),
    "dead letter": (
        b'{"id":"dd00","reason":"not_json","topic":"clickstream","partition":1,"offset":17,"bytes":"'
        b'e30=","length":2,"sha256":"44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8'
        b'a","error":"the record is not JSON"}'
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_what_the_first_release_wrote_is_read(name: str) -> None:
    value, _, decode = SAMPLES[name]
    assert decode(WRITTEN[name]) == value


@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_written_now_is_read_back(name: str) -> None:
    value, encode, decode = SAMPLES[name]
    assert decode(encode(value)) == value


def test_a_customer_of_whom_little_was_known_is_read() -> None:
    assert customers.decode(msgspec.msgpack.encode(["anna", 1, 2, 3])).events == 3


def test_every_kind_of_event_has_a_tag_of_its_own_that_never_changes() -> None:
    tags = {kind.__name__: kind.__struct_config__.tag for kind in event_codec.KINDS}
    assert len(set(tags.values())) == len(tags)
    assert {name: tag for name, tag in tags.items() if name in TAGS} == TAGS


TAGS = {
    "ProductViewed": "viewed",
    "ProductAdded": "added",
    "ProductRemoved": "removed",
    "OrderCompleted": "ordered",
    "ConsentGranted": "consent_granted",
    "ConsentWithdrawn": "consent_withdrawn",
    "CartChanged": "cart_changed",
    "CartOrdered": "cart_ordered",
    "CartEmptied": "cart_emptied",
    "Tracked": "tracked",
}


def test_an_event_of_a_kind_that_came_later_is_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        event_codec.decode(msgspec.msgpack.encode(["teleported", "m9", "anna", 1]))


KEY = Key(bytes(range(KEY_ID_BYTES + KEY_BYTES)))


@given(st.binary(max_size=300), st.binary(max_size=40))
def test_a_sealed_value_opens_in_its_own_place_only(value: bytes, place: bytes) -> None:
    codec = Codec()
    sealed = codec.seal(KEY, place, value)
    assert codec.open(KEY, place, sealed) == value
    with pytest.raises(StoreDamaged):
        codec.open(KEY, place + b"x", sealed)


def test_a_value_sealed_by_the_first_release_opens() -> None:
    sealed = bytes.fromhex(
        "01000102037f0e7f8e746f0000000000014a4836ac9e8df94b68b56b06aa175773cbdf1fbc0fc6c6273d2286f2e5b71353"
    )
    assert Codec().open(KEY, b"place", sealed) == b"what anna bought"


@given(st.integers(0, 60), st.integers(1, 255))
def test_one_changed_byte_is_noticed(where: int, by: int) -> None:
    codec = Codec()
    sealed = bytearray(codec.seal(KEY, b"place", b"what anna bought and when"))
    where %= len(sealed)
    sealed[where] ^= by
    with pytest.raises((KeyLost, StoreDamaged, StoreRefused)):
        codec.open(KEY, b"place", bytes(sealed))


@pytest.mark.parametrize("version", [VERSION + 1, 255])
def test_what_a_newer_version_sealed_is_refused_and_not_called_damaged(version: int) -> None:
    sealed = bytes((version,)) + Codec().seal(KEY, b"place", b"value")[1:]
    with pytest.raises(StoreRefused, match="newer version"):
        Codec().open(KEY, b"place", sealed)


def test_no_two_values_are_sealed_under_one_nonce() -> None:
    codec = Codec()
    nonces = {codec.seal(KEY, b"", b"")[1 + KEY_ID_BYTES : 13 + KEY_ID_BYTES] for _ in range(1_000)}
    nonces |= {Codec().seal(KEY, b"", b"")[1 + KEY_ID_BYTES : 13 + KEY_ID_BYTES] for _ in range(100)}
    assert len(nonces) == 1_100
