"""From a TOML file and the environment to `Settings`, or to all that is wrong with them at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path

from config.combinations import clashes
from config.faults import ConfigError, Fault, Unfit, Unfits
from config.knobs import Knob, knobs, sections
from config.settings import Settings
from config.sources import Given, from_environment, from_file

DEFAULT_FILE = Path("impuls.toml")
SHOWN_MAX = 80


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The configuration of this process.

    Read from `path`, else from the file that `IMPULS_CONFIG` names, else from `impuls.toml` in the current folder
    if it is there, else from the environment alone, which always wins over a file.
    Raises `ConfigError` with every fault there is.
    """
    given = Given()
    known = all_knobs()
    if path is None and environ.get("IMPULS_CONFIG"):
        path = Path(environ["IMPULS_CONFIG"])
    if path is None and DEFAULT_FILE.is_file():
        path = DEFAULT_FILE
    if path is not None:
        from_file(path, known, set(sections(Settings)), given)
    from_environment(environ, known, given)
    settings, at_fault = _read(known, given)
    for clash in clashes(settings):
        if not at_fault.intersection(clash.settings):
            place = given.places.get(clash.settings[0], clash.settings[0])
            given.faults.append(Fault(place, clash.fact, clash.way_out))
    if given.faults:
        raise ConfigError(given.faults, None if "flows" in at_fault else settings.flows)
    return settings


def all_knobs() -> dict[str, Knob]:
    """Every setting by its full name: `data_dir`, `smtp.port`."""
    found = {knob.name: knob for knob in knobs(Settings)}
    for name, section in sections(Settings).items():
        found |= {f"{name}.{knob.name}": knob for knob in knobs(section)}
    return found


def _read(known: Mapping[str, Knob], given: Given) -> tuple[Settings, set[str]]:
    """The settings, with the default in place of what is wrong, and the names of those that are."""
    good: dict[str, dict[str, object]] = {name: {} for name in ("", *sections(Settings))}
    at_fault: set[str] = set()
    for name, value in given.values.items():
        knob = known[name]
        try:
            good[name.rpartition(".")[0]][knob.attribute] = knob.kind.read(value)
        except Unfit as unfit:
            at_fault.add(name)
            shown = "set to something not shown here" if knob.secret or knob.personal else quoted(value)
            given.faults.append(Fault(given.places[name], f"is {shown}, {unfit.fact}", unfit.way_out))
        except Unfits as unfits:
            at_fault.add(name)
            for entry, inner, why in unfits.entries:
                place = given.places.get(f"{name}.{entry}", f"{given.places[name]}.{entry}")
                given.faults.append(Fault(place, f"is {quoted(inner)}, {why.fact}", why.way_out))
    inside = {name: section(**good[name]) for name, section in sections(Settings).items()}
    return Settings(**good[""], **inside), at_fault  # type: ignore[arg-type]


def quoted(value: object) -> str:
    """The value as its file has it, shortened. A table may hold secrets, so it is only called one."""
    match value:
        case dict():
            return "a table"
        case datetime() | date() | time():
            return value.isoformat()
        case _:
            text = json.dumps(value, ensure_ascii=False, default=str)
            return text if len(text) <= SHOWN_MAX else f"{text[:SHOWN_MAX]}…"
