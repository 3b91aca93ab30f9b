"""Playing events through a flow on a simulated clock, for tests that read like the shop's own sentences.

    simulate(abandoned_cart).at(hours(0), cart).at(minutes(30), order).play_out() == []

The events go through the same engine as in production.  A simulated customer has an address and has
agreed to everything, and neither caps nor quiet hours apply, unless the test says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import msgspec

from operators import catalogue
from operators.bandits.schedule import Schedule
from operators.breaker import Breaker, NeverStops
from operators.effects import Effects, FlowFault
from operators.engine import Arrived, Engine
from operators.flow import Flow
from operators.guards import Rules
from operators.program import Program
from operators.propensity.forecasts import Forecasts
from operators.trace import Entry, Trace
from operators.tracing import TracingEngine
from operators.windows import Window
from state.catalogue import Item
from state.customer import Consent, Customer, Traits
from state.decisions import Cause, Decision
from state.decode import Decoder, Rejected
from state.events import Event, ProductChanged
from state.ids import Ids
from state.instants import format_instant, parse_instant
from state.messages import Message
from state.passages import NEVER

START = parse_instant("2026-01-05T12:00:00Z")  # a Monday noon
_TYPES = {
    "identify": "Identified(first_name=…, traits={…})",
    "page": "Paged(name=…)",
    "screen": "Screened(name=…)",
    "group": "Grouped(group_id=…)",
    "alias": "Aliased(previous_id=…)",
}
_CHANNELS = ("email", "sms", "push", "webhook")


@dataclass(frozen=True)
class Told:
    """One decision, as far as a test wants to know: when after the start, which message, what came of it."""

    after: timedelta
    message: str
    outcome: str = "send"
    reason: str = ""


@dataclass(frozen=True)
class Simulation:
    """A scenario under construction; each step gives a new one."""

    flows: tuple[Flow[Any], ...]
    rules: Rules = field(default_factory=Rules)
    windows: tuple[Window, ...] = ()
    customer_id: str = "anna"
    traits: Traits = field(default_factory=lambda: Traits(email="anna@example.com", phone="+48600000000"))
    agreed: bool = True
    topics: tuple[str, ...] = ("marketing",)
    happened: tuple[tuple[timedelta, Event], ...] = ()
    start: int = START
    devices: tuple[str, ...] = ("annas-telephone",)
    forecasts: Forecasts | None = None
    schedule: Schedule | None = None
    consents: tuple[str, ...] | None = None  # channel/topic; None: every channel of `topics`

    def at(self, after: timedelta, event: Event) -> Simulation:
        """Let an event happen so long after the start.  The time it carries itself does not count."""
        return replace(self, happened=(*self.happened, (after, event)))

    def without_consent(self) -> Simulation:
        return replace(self, agreed=False)

    def who_agreed_to(self, *places: str) -> Simulation:
        """Consent to these alone, each as `channel/topic`."""
        return replace(self, consents=places)

    def who_is(self, traits: Traits, *devices: str) -> Simulation:
        """Addresses, name, locale, time zone, and devices that show push messages; what is left out is unknown."""
        return replace(self, traits=traits, devices=devices)

    def without_address(self) -> Simulation:
        return replace(self, traits=Traits(), devices=())

    def under(self, rules: Rules) -> Simulation:
        """Apply these caps, quiet hours and holdouts."""
        return replace(self, rules=rules)

    def starting(self, start: int) -> Simulation:
        return replace(self, start=start)

    def play_out(self, until: timedelta = timedelta(days=400)) -> list[Told]:
        """Run on until nothing is left to happen, at most so long: what was decided to be sent."""
        return [told for told in self.decided(until) if told.outcome == "send"]

    def decided(self, until: timedelta = timedelta(days=400)) -> list[Told]:
        """Every decision in order, those against sending too."""
        return [
            Told(
                timedelta(milliseconds=_ms(decision) - self.start), decision.message, decision.outcome, decision.reason
            )
            for decision in self.decisions(until)
        ]

    def decisions(self, until: timedelta = timedelta(days=400)) -> list[Decision]:
        return self._play(until)[0].decisions

    def messages(self, until: timedelta = timedelta(days=400)) -> list[Message]:
        """What couriers would be handed, with what the templates are filled in with."""
        return self._run(self._engine(NeverStops(), sends=True), until)[0].messages

    def shadowed(self, until: timedelta = timedelta(days=400)) -> list[Decision]:
        """What versions in the shadow would have decided."""
        return self._play(until)[0].shadowed

    def faults(self, until: timedelta = timedelta(days=400)) -> list[FlowFault]:
        """Where a flow's own code raised."""
        return self._play(until)[0].faults

    def customer(self, until: timedelta = timedelta(days=400)) -> Customer:
        """What is known of her in the end."""
        return self._play(until)[1]

    def timeline(self, until: timedelta = timedelta(days=400)) -> list[Entry]:
        """All that happens, was asked and was said, in order; what `impuls simulate` prints."""
        trace = Trace()
        program = Program(self.flows, self.windows, forecasts=self.forecasts, schedule=self.schedule)
        engine = TracingEngine(
            program, self.rules, Ids(b"simulation"), trace, breaker=NeverStops(), clock="replay", sends=False
        )
        self._run(engine, until)
        return trace.entries

    def _play(self, until: timedelta) -> tuple[Effects, Customer]:
        return self._run(self._engine(NeverStops()), until)

    def _run(self, engine: Engine, until: timedelta) -> tuple[Effects, Customer]:
        customer, effects = self._customer(), Effects()
        items: dict[str, Item] = {}
        for n, (after, event) in enumerate(sorted(self.happened, key=lambda entry: entry[0])):
            at = self.start + round(after.total_seconds() * 1000)
            happened = msgspec.structs.replace(event, customer=customer.id, at=at, id=event.id or f"event-{n}")
            engine.wake(customer, at, at, effects)
            if isinstance(happened, ProductChanged):
                known = items.get(happened.product_id)
                items[happened.product_id], change = catalogue.changed(known, happened)
                if change is None:
                    continue
                happened = msgspec.structs.replace(change, customer=customer.id)
            engine.on_event(customer, Arrived(happened, Cause("simulation", 0, n)), at, effects)
        engine.wake(customer, self.start + round(until.total_seconds() * 1000) + 1, NEVER, effects)
        return effects, customer

    def _engine(self, breaker: Breaker, *, sends: bool = False) -> Engine:
        program = Program(self.flows, self.windows, forecasts=self.forecasts, schedule=self.schedule)
        return Engine(program, self.rules, Ids(b"simulation"), breaker=breaker, clock="replay", sends=sends)

    def _customer(self) -> Customer:
        customer = Customer(id=self.customer_id, traits=msgspec.structs.replace(self.traits))
        customer.devices = dict.fromkeys(self.devices, self.start)
        if self.agreed:
            everywhere = tuple(f"{channel}/{topic}" for channel in _CHANNELS for topic in self.topics)
            places = everywhere if self.consents is None else self.consents
            customer.consents = {place: Consent(True, 0, "agreed") for place in places}
        return customer


def happening(name: str, /, **properties: Any) -> Event:
    """An event as the shop's tracker sends it, read by the same decoder as in production.

    `happening("Product Added", product_id="p1", price=19.99, cart_id="k1")`.  Raises `ValueError` where the
    decoder would set it aside.  What is no `track` is made by its class: `Identified(traits={"size": "M"})`.
    """
    if name in _TYPES:
        raise ValueError(
            f'"{name}" is a type of message, not the name of an event. Make it by its class: {_TYPES[name]}'
        )
    wire = {"type": "track", "event": name, "timestamp": format_instant(START), "properties": properties}
    return decoded(wire, START)


def decoded(wire: Mapping[str, Any], at: int, currency: str = "PLN") -> Event:
    """The event in a whole message of Segment's spec; without a `messageId` it has no id yet."""
    raw = msgspec.json.encode({"userId": "somebody", **wire})
    event = Decoder(currency).decode(raw, key=None, topic="simulation", partition=0, offset=0, now=at, clock="replay")
    if isinstance(event, Rejected):
        raise ValueError(event.error)
    return event if wire.get("messageId") else msgspec.structs.replace(event, id="")


def simulate(
    *flows: Flow[Any],
    windows: Sequence[Window] = (),
    forecasts: Forecasts | None = None,
    schedule: Schedule | None = None,
) -> Simulation:
    return Simulation(flows, windows=tuple(windows), forecasts=forecasts, schedule=schedule)


def _ms(decision: Decision) -> int:
    return parse_instant(decision.at)
