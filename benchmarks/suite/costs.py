"""What safety costs: syncing to disk before anything leaves, encryption, and every guard.

`durability` can be switched, so it is measured on the whole.  Encryption and most guards are always on: what they take
is measured by itself, around the very calls that the hot path makes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from itertools import islice

from benchmarks.figures import median
from benchmarks.live import Live
from benchmarks.reports.report import Measure
from benchmarks.suite.stage import Gathered, Stage, doubts, percentile_measures
from flows.welcome import welcome
from operators.guards import GUARDS, Ask, Rules, judge
from operators.program import templates
from state.codec import Codec, Key, new_key
from state.customer import Consent, Customer, Sent, Traits
from state.ids import Ids

QUIET_SHARE = 0.3
RECORD_BYTES = 400  # a customer with a cart
ROUNDS, CALLS = 9, 2_000
NOON = 1_700_000_000_000 // 86_400_000 * 86_400_000 + 43_200_000
DAY = 86_400_000
RULES = Rules(
    cap=4, cap_period=7 * DAY, quiet_from=21 * 60, quiet_to=8 * 60, time_zone="Europe/Warsaw", holdout_percent=5
)
RULES_WITH_A_GAP = replace(RULES, min_gap=20 * 60_000)


def costs(stage: Stage, saturation: float) -> Gathered:
    found = durability(stage, saturation)
    found += Gathered([*encryption(), *guards()])
    for each in found.measures:
        stage.tell(f"    {each.says}: {each.median:.2f} {each.unit}")
    return found


def durability(stage: Stage, saturation: float) -> Gathered:
    """The same load with `durability = "process"` and with `"power"`."""
    rate = QUIET_SHARE * saturation
    stage.tell(f'  durability "process" and "power" at {rate:,.0f} events a second')
    found = Gathered()
    for kind in ("process", "power"):
        with Live(stage.setup(kind, altered={"durability": kind})) as live:
            done = stage.times(live, stage.load(rate, kind))
        says = f'append → accepted with durability = "{kind}"'
        found.measures += percentile_measures(f"durability_{kind}", says, done)
        found.measures.append(
            Measure(
                name=f"durability_{kind}_cpu_us",
                says=f'CPU time of the worker for an event with durability = "{kind}"',
                unit="µs",
                values=[each.cpu_microseconds_an_event("worker") for each in done],
            )
        )
        found.warnings += doubts(f"durability {kind}", done)
    return found


def encryption() -> list[Measure]:
    """Sealing and opening a customer's record, with her key at hand."""
    codec, key = Codec(), Key(new_key())
    place, value = bytes(24), bytes(range(256)) * 2
    value = value[:RECORD_BYTES]
    sealed = codec.seal(key, place, value)
    parts = (
        ("seal", "encrypting a customer's record", lambda: codec.seal(key, place, value)),
        ("open", "decrypting a customer's record", lambda: codec.open(key, place, sealed)),
        ("key", "making a new customer's key ready", lambda: Key(new_key())),
    )
    note = f"always on; {RECORD_BYTES} bytes, AES-256-GCM"
    return [_measure(f"encryption_{name}_us", f"{says}, once", note, call) for name, says, call in parts]


def guards() -> list[Measure]:
    """Each guard on a customer that it lets pass, and all of them together with `judge`."""
    ask = _ask(RULES_WITH_A_GAP)
    objection = judge(ask)
    assert objection is None, f"the guards measured stop the message: {objection}"
    found = []
    for guard, _ in GUARDS:
        says = f"guard {guard.__name__.replace('_', ' ')}, for one message"
        found.append(_measure(f"guard_{guard.__name__}_us", says, "", lambda guard=guard: guard(ask)))  # type: ignore[misc]
    bare = _ask(Rules())
    found.append(_measure("guards_all_us", "all guards, every rule set, for one message", "", lambda: judge(ask)))
    found.append(_measure("guards_bare_us", "all guards, no rule set, for one message", "", lambda: judge(bare)))
    return found


def _ask(rules: Rules) -> Ask:
    ids = Ids(b"guards that are measured")
    names = (f"c{number}" for number in range(1_000))
    spared = next(islice((name for name in names if ids.share("holdout", name) * 100 >= 50), 1))
    customer = Customer(
        id=spared,
        traits=Traits(email="ola@example.invalid", time_zone="Europe/Warsaw"),
        consents={"email/marketing": Consent(True, 0, "proof")},
        suppressed={"another": "bounce"},
        sent=[Sent(NOON - 8 * DAY + n * DAY, f"m{n}", "welcome", "email", "marketing") for n in range(4)],
    )
    template = next(iter(templates(welcome.steps)))
    return Ask(
        rules=rules,
        ids=ids,
        customer=customer,
        template=template,
        flow="welcome",
        priority=0,
        stopped=set(),
        at=NOON,
        moment=NOON,
        latest=NOON,
        won={},
        limits=rules.limits,
    )


def _measure(name: str, says: str, note: str, call: Callable[[], object]) -> Measure:
    return Measure(name=name, says=says, unit="µs", values=microseconds(call), note=note)


def microseconds(call: Callable[[], object]) -> list[float]:
    """CPU time of one call, by rounds of many; what the loop itself takes is taken off."""
    empty = median([_round(_nothing) for _ in range(ROUNDS)])
    return [max(0.0, _round(call) - empty) for _ in range(ROUNDS)]


def _round(call: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(CALLS):
        call()
    return 1e6 * (time.process_time() - began) / CALLS


def _nothing() -> None:
    return None
