"""A scenario in TOML: a customer, the shop's limits, what happens when, and what is expected to be decided.

    play_out = "3 days"
    expect = [{ at = "1h", message = "cart_reminder" }]

    [customer]
    time_zone = "Europe/Warsaw"

    [[events]]
    at = "0"
    event = "Product Added"
    properties = { product_id = "p1", price = 19.99, cart_id = "k1" }

Every fault is reported at once, each with its place, the fact and the way out.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args

import msgspec

from config.faults import ConfigError, Fault, Unfit, Unfits
from config.knobs import knobs
from config.settings import Guards, Send
from config.times import time_zone
from config.values import duration_ms
from flows.cli.options import there_are
from flows.worker_rules import rules_from
from operators.flow import Flow
from operators.guards import Rules
from operators.program import Program
from operators.simulate import START, Simulation, decoded
from state.customer import Traits
from state.decisions import Decision, Outcome, Reason
from state.instants import format_instant, parse_instant

PLAY_OUT = timedelta(days=400)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TOP = ("start", "play_out", "beside", "currency", "customer", "rules", "events", "expect")
_TRAITS = ("email", "phone", "first_name", "last_name", "locale", "time_zone")
_EXPECTED = ("at", "message", "outcome", "reason", "until")
_NO_LIMITS = {"marketing_cap": "none", "quiet_hours": "none", "time_zone": "UTC", "min_gap": "none"}
_ON_THE_WIRE = (
    *("type", "event", "properties", "traits", "context", "name", "category", "messageId", "anonymousId", "groupId"),
    *("previousId", "integrations", "channel", "version"),
)
_INSTANT = 'Something like "2026-01-05T12:00:00Z" will do.'
_IN_TIME = 'Something like "90 minutes", or a time like "2026-01-05T12:00:00Z", will do.'


@dataclass(frozen=True)
class Scenario:
    """What to play, until when, and what is expected: None where nothing is."""

    simulation: Simulation
    play_out: timedelta
    expect: tuple[Mapping[str, Any], ...] | None

    def misses(self, decisions: Sequence[Decision]) -> list[str]:
        """Where the decisions are not those expected, in words; all of them are expected, in order."""
        if self.expect is None:
            return []
        found = []
        for number in range(max(len(self.expect), len(decisions))):
            wanted = self.expect[number] if number < len(self.expect) else None
            made = decisions[number] if number < len(decisions) else None
            if wanted is None or made is None:
                found.append(f"expect[{number}]: {_wish(wanted)}, got {_told(made)}")
            elif wrong := [name for name, value in wanted.items() if getattr(made, name) != value]:
                found.append(f"expect[{number}].{wrong[0]}: {_wish(wanted)}, got {_told(made)}")
        return found


def read_scenario(path: Path, name: str, program: Program) -> Scenario:
    """The scenario for one flow, and those played beside it.  Raises `ConfigError` with all that is wrong."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        way_out = "Name a file that is there and readable."
        raise ConfigError([Fault(str(path), f"cannot be read: {error.strerror}", way_out)]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError([Fault(str(path), f"is not TOML: {error}", "Mend it; then the rest is checked.")]) from None
    reading = _Reading(path, program)
    scenario = reading.scenario(table, name)
    if reading.faults:
        raise ConfigError(reading.faults)
    return scenario


@dataclass
class _Reading:
    path: Path
    program: Program
    faults: list[Fault] = field(default_factory=list)
    start: int = START

    def scenario(self, table: dict[str, Any], name: str) -> Scenario:
        self._known("", table, _TOP)
        self.start = self._instant("start", table.get("start"), START)
        play_out = PLAY_OUT
        if "play_out" in table:
            play_out = timedelta(milliseconds=self._after("play_out", table["play_out"]))
        flows = [name, *self._texts("beside", table.get("beside", []))]
        simulation = Simulation(
            tuple(found for place, each in enumerate(flows) if (found := self._flow(place, each)) is not None),
            rules=self._rules(self._table("rules", table.get("rules", {}))),
            windows=self.program.windows,
            start=self.start,
        )
        if "customer" in table:
            simulation = self._customer(simulation, self._table("customer", table["customer"]))
        currency = table.get("currency", "PLN")
        for number, each in enumerate(self._tables("events", table.get("events", []))):
            simulation = self._event(simulation, number, each, str(currency))
        expect = None
        if "expect" in table:
            expect = tuple(self._expected(n, each) for n, each in enumerate(self._tables("expect", table["expect"])))
        if not simulation.happened and not self.faults:
            self._fault("events", "is empty, so nothing happens", "Write [[events]] with at and event.")
        return Scenario(simulation, play_out, expect)

    def _flow(self, place: int, name: str) -> Flow[Any] | None:
        if name not in self.program.by_name:
            self._fault(
                f"beside[{place - 1}]" if place else "NAME",
                f'is "{name}", and there is no such flow',
                there_are(self.program.by_name),
            )
        return self.program.by_name.get(name)

    def _customer(self, simulation: Simulation, table: dict[str, Any]) -> Simulation:
        self._known("customer", table, ("id", "consents", "devices", *_TRAITS))
        traits: dict[str, Any] = {"email": simulation.traits.email, "phone": simulation.traits.phone}
        for name in _TRAITS:
            if name in table and not isinstance(table[name], str):
                self._fault(f"customer.{name}", "is not text", 'Write it in quotes; "" stands for unknown.')
            elif name in table:
                traits[name] = table[name]
        if traits.get("time_zone"):
            self._fitting("customer.time_zone", time_zone(), traits["time_zone"])
        devices = self._texts("customer.devices", table["devices"]) if "devices" in table else simulation.devices
        simulation = replace(simulation.who_is(Traits(**traits), *devices), customer_id=str(table.get("id", "anna")))
        if "consents" in table:
            places = self._texts("customer.consents", table["consents"])
            for place in places:
                if place.count("/") != 1:
                    self._fault("customer.consents", f'has "{place}"', 'Write channel/topic: "email/marketing".')
            simulation = simulation.who_agreed_to(*places)
        return simulation

    def _rules(self, table: dict[str, Any]) -> Rules:
        known = {knob.name: knob for knob in knobs(Guards)}
        self._known("rules", table, known)
        read: dict[str, Any] = {}
        for name, knob in known.items():
            value = table.get(name, _NO_LIMITS.get(name, knob.default))
            faults = len(self.faults)
            fitting = self._fitting(f"rules.{name}", knob.kind, value)
            if faults == len(self.faults):
                read[knob.attribute] = fitting
        return rules_from(Guards(**read), Send())

    def _event(self, simulation: Simulation, number: int, table: dict[str, Any], currency: str) -> Simulation:
        place = f"events[{number}]"
        if "at" not in table:
            self._fault(f"{place}.at", "is missing", _IN_TIME)
            return simulation
        after = self._after(f"{place}.at", table["at"])
        rest = {name: value for name, value in table.items() if name != "at"}
        self._known(place, rest, _ON_THE_WIRE)
        if "type" not in rest and "event" not in rest:
            way_out = 'Write event = "Product Added", or type = "identify" with traits.'
            self._fault(place, "names neither an event nor a type", way_out)
            return simulation
        at = self.start + after
        # TOML has dates of its own; on the wire they are texts.
        plain = msgspec.to_builtins(rest, builtin_types=())
        wire = {"type": "track", **plain, "userId": simulation.customer_id, "timestamp": format_instant(at)}
        try:
            event = decoded(wire, at, currency)
        except ValueError as error:
            self._fault(place, f"would be set aside: {error}", "Write it as the shop's tracker sends it.")
            return simulation
        return simulation.at(timedelta(milliseconds=after), event)

    def _expected(self, number: int, table: dict[str, Any]) -> Mapping[str, Any]:
        place = f"expect[{number}]"
        self._known(place, table, _EXPECTED)
        wanted: dict[str, Any] = {"outcome": "send", **table}
        told = {"message": self.program.templates, "outcome": get_args(Outcome), "reason": get_args(Reason)}
        for name, known in told.items():
            if name in wanted and wanted[name] not in known:
                fact = f'is "{wanted[name]}", which is no {name} of a decision'
                self._fault(f"{place}.{name}", fact, _near(str(wanted[name]), known))
        for name in ("at", "until"):
            if name in wanted:
                wanted[name] = format_instant(self.start + self._after(f"{place}.{name}", wanted[name]))
        return wanted

    # -- the kinds of values

    def _after(self, place: str, value: object) -> int:
        """Milliseconds after the start, from a duration or an instant."""
        if isinstance(value, str) and value.strip().rstrip("smhd ") == "0":
            return 0
        if isinstance(value, str) and not value[:4].isdigit():
            try:
                return duration_ms(value)
            except Unfit as unfit:
                self._fault(place, f'is "{value}", {unfit.fact}', _IN_TIME)
                return 0
        after = self._instant(place, value, self.start) - self.start
        if after < 0:
            self._fault(place, f"is before the start, {format_instant(self.start)}", "Set an earlier start.")
        return max(after, 0)

    def _instant(self, place: str, value: object, otherwise: int) -> int:
        if value is None:
            return otherwise
        try:
            if isinstance(value, datetime) and value.tzinfo is not None:
                return (value - _EPOCH) // timedelta(milliseconds=1)
            if isinstance(value, str):
                return parse_instant(value)
        except ValueError:
            pass
        way_out = _INSTANT if place == "start" else _IN_TIME
        self._fault(place, f'is "{value}", which is no time with a zone', way_out)
        return otherwise

    def _fitting(self, place: str, kind: Any, value: object) -> Any:
        try:
            return kind.read(value)
        except Unfit as unfit:
            self._fault(place, f'is "{value}", {unfit.fact}', unfit.way_out)
        except Unfits as unfits:
            for name, inner, why in unfits.entries:
                self._fault(f"{place}.{name}", f'is "{inner}", {why.fact}', why.way_out)
        return None

    def _table(self, place: str, value: object) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        self._fault(place, "is not a section", f"Write [{place}] and its settings on lines below it.")
        return {}

    def _tables(self, place: str, value: object) -> list[dict[str, Any]]:
        if isinstance(value, list) and all(isinstance(each, dict) for each in value):
            return value
        self._fault(place, "is not a list of tables", f"Write [[{place}]] before each of them.")
        return []

    def _texts(self, place: str, value: object) -> list[str]:
        if isinstance(value, list) and all(isinstance(each, str) for each in value):
            return value
        self._fault(place, "is not a list of texts", 'Write it like ["one", "two"].')
        return []

    def _known(self, place: str, table: Mapping[str, Any], known: Iterable[str]) -> None:
        names = list(known)
        for name in table:
            if name not in names:
                self._fault(f"{place}.{name}" if place else name, "is nothing a scenario knows", _near(name, names))

    def _fault(self, place: str, fact: str, way_out: str) -> None:
        self.faults.append(Fault(f"{self.path}: {place}", fact, way_out))


def _near(name: str, known: Iterable[str]) -> str:
    names = [each for each in known if each]
    near = get_close_matches(name, names, 1)
    return f"Did you mean {near[0]}?" if near else f"There are {', '.join(names)}."


def _wish(wanted: Mapping[str, Any] | None) -> str:
    if wanted is None:
        return "nothing more was expected"
    return "expected " + ", ".join(f"{name} {value}" for name, value in wanted.items())


def _told(made: Decision | None) -> str:
    if made is None:
        return "nothing"
    reason = f" ({made.reason})" if made.reason else ""
    return f"{made.message} {made.outcome}{reason} at {made.at}"
