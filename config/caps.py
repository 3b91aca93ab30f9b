"""Caps on a part of the marketing messages: those of a channel, on a topic, from a flow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from config.faults import Unfit, Unfits
from config.kinds import Kind, TomlValue
from config.times import cap
from config.values import Cap

Caps = Mapping[str, Mapping[str, tuple[Cap, ...]]]
"""For `channel`, `topic` and `flow`: by name, one cap or several that hold together."""

PARTS = ("channel", "topic", "flow")
CHANNELS = ("email", "sms", "push", "webhook")
_EXAMPLE = 'Something like { channel = { email = "1 per day" }, flow = { win_back = "1 per 30 days" } } will do.'


def caps() -> Kind[Caps]:
    """Raises `Unfits` with all that is wrong in the table."""

    def read(value: object) -> Caps:
        if not isinstance(value, dict):
            raise Unfit("which is not a table", _EXAMPLE)
        faults: list[tuple[str, object, Unfit]] = []
        found = {part: dict(_part(part, named, faults)) for part, named in value.items()}
        if faults:
            raise Unfits(faults)
        return found

    return Kind(read, _write, "toml")


def _part(part: str, named: object, faults: list[tuple[str, object, Unfit]]) -> Iterator[tuple[str, tuple[Cap, ...]]]:
    if part not in PARTS:
        way_out = f"There are {', '.join(PARTS)}.{_near(part, PARTS)}"
        faults.append((part, named, Unfit("which no cap can be on", way_out)))
        return
    if not isinstance(named, dict):
        faults.append((part, named, Unfit("which is not a table of names and caps", _EXAMPLE)))
        return
    for name, written in named.items():
        place = f"{part}.{name}"
        if part == "channel" and name not in CHANNELS:
            way_out = f"There are {', '.join(CHANNELS)}.{_near(name, CHANNELS)}"
            faults.append((place, written, Unfit("on a channel that is none", way_out)))
            continue
        read: list[Cap] = []
        several = written if isinstance(written, list) else [written]
        for each in several:
            try:
                one = cap().read(each)
            except Unfit as unfit:
                faults.append((place, each, unfit))
            else:
                read += [one] if one is not None else []
        yield name, tuple(read)


def _write(caps: Caps) -> TomlValue:
    """One cap as text, several as a list, none as `none`."""
    return {part: {name: _text(several) for name, several in named.items()} for part, named in caps.items()}


def _text(several: tuple[Cap, ...]) -> TomlValue:
    return [str(each) for each in several] if len(several) > 1 else str(several[0]) if several else "none"


def _near(name: str, known: tuple[str, ...]) -> str:
    near = get_close_matches(name, known, 1)
    return f" Did you mean {near[0]}?" if near else ""
