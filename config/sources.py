"""What was given: settings as they stand in a file and in the environment, each with the place it was found at.

Nothing is judged here but whether a file is TOML and a variable belongs to a setting; values are read in `config.load`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from config.faults import Fault
from config.knobs import Knob
from config.security import NAMES, SECRETS
from config.suggest import unknown

PREFIX = "IMPULS_"
# Variables that are not settings: where test data lies, and which file to read.
NOT_SETTINGS = {"IMPULS_DATA", "IMPULS_CONFIG"}
TABLE = "kafka.security"
_HEADER = re.compile(r"\s*\[\s*([\w.\-]+)\s*\]")
_KEY = re.compile(r"\s*([\w\-]+(?:\s*\.\s*[\w\-]+)*)\s*=")


@dataclass(slots=True)
class Given:
    """By full name (`smtp.port`): the value, and the place to name when it is wrong, or an entry of it is."""

    values: dict[str, object] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def put(self, name: str, value: object, place: str) -> None:
        self.values[name] = value
        self.places = {known: at for known, at in self.places.items() if not known.startswith(f"{name}.")}
        self.places[name] = place


def from_file(path: Path, known: Mapping[str, Knob], sections: set[str], given: Given) -> None:
    """Add what the file says. A file that is missing or not TOML is one fault, and adds nothing."""
    try:
        text = path.read_bytes().decode("utf-8")
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, _, where = str(error).partition(" (at ")
        line = re.match(r"line (\d+), column \d+", where)
        fact = f"is not TOML: {message[:1].lower()}{message[1:]}{f' at {where[:-1]}' if line else ''}"
        given.faults.append(
            Fault(f"{path}:{line[1]}" if line else str(path), fact, "Mend that line; then the rest is checked.")
        )
        return
    except UnicodeDecodeError as error:
        given.faults.append(Fault(str(path), f"is not UTF-8 at byte {error.start}", "Save it as UTF-8."))
        return
    except OSError as error:
        way_out = "Name a file that is there and readable, or leave --config and IMPULS_CONFIG out."
        given.faults.append(Fault(str(path), f"cannot be read: {error.strerror}", way_out))
        return
    lines = line_numbers(text)
    for name, value in _flat(table, sections):
        place = f"{path}:{lines[name]} {name}" if name in lines else f"{path} {name}"
        if name in sections:
            given.faults.append(Fault(place, "is not a section", f"Write [{name}] and its settings on lines below it."))
        elif name in known:
            given.put(name, value, place)
            inside = (each for each in lines if each.startswith(f"{name}."))
            given.places |= {each: f"{path}:{lines[each]} {each}" for each in inside}
        elif isinstance(value, dict):
            given.faults.append(Fault(place, "is not a section", unknown(name, sections)))
        else:
            given.faults.append(Fault(place, "is not a setting", unknown(name, known)))


def _flat(table: Mapping[str, Any], sections: set[str]) -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        if name in sections and isinstance(value, dict):
            yield from ((f"{name}.{inner}", each) for inner, each in value.items())
        else:
            yield name, value


def line_numbers(text: str) -> dict[str, int]:
    """Lines of settings and sections by full name, as far as line beginnings tell them (tomllib keeps none)."""
    found: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            section = f"{header[1]}."
            found.setdefault(header[1], number)
        elif key := _KEY.match(line):
            parts = [part.strip() for part in f"{section}{key[1]}".split(".")]
            for length in range(1, len(parts) + 1):
                found.setdefault(".".join(parts[:length]), number)
    return found


def from_environment(environ: Mapping[str, str], known: Mapping[str, Knob], given: Given) -> None:
    """Put what the environment says over what the file says."""
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        name = variable.removeprefix(PREFIX).lower().replace("__", ".")
        secret = name.removesuffix("_file")
        if _is_setting(name, known):
            _put(name, environ[variable], variable, known, given)
        elif name.endswith("_file") and _is_secret(secret, known):
            _put_secret(secret, variable, environ, known, given)
        else:
            is_other = name.endswith("_file") and _is_setting(secret, known)
            way_out = "Only secrets are read from files." if is_other else unknown(name, known, variable=True)
            given.faults.append(Fault(variable, "is not a setting", way_out))


def _put_secret(name: str, variable: str, environ: Mapping[str, str], known: Mapping[str, Knob], given: Given) -> None:
    plain = variable.removesuffix("_FILE")
    if plain in environ:
        given.faults.append(Fault(variable, f"is set, and {plain} is too", "Take one of them out."))
        return
    try:
        text = Path(environ[variable]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        way_out = "Name a file that holds the secret and that this user may read."
        given.faults.append(Fault(variable, f"names a file that cannot be read: {reason}", way_out))
        return
    # Editors end a file with a line break that is not part of the secret.
    _put(name, text.removesuffix("\n").removesuffix("\r"), variable, known, given)


def _put(name: str, text: str, variable: str, known: Mapping[str, Knob], given: Given) -> None:
    if name in known:
        given.put(name, _value(text, known[name].kind.form), variable)
        return
    before = given.values.get(TABLE)
    entry = name.removeprefix(f"{TABLE}.")
    value = _value(text, "toml" if entry == "ssl_check_hostname" else "text")
    place = f"{given.places[TABLE]} with {variable}" if TABLE in given.places else variable
    given.put(TABLE, {**(before if isinstance(before, dict) else {}), entry: value}, place)


def _is_setting(name: str, known: Mapping[str, Knob]) -> bool:
    return name in known or name in {f"{TABLE}.{entry}" for entry in NAMES}


def _is_secret(name: str, known: Mapping[str, Knob]) -> bool:
    return (name in known and known[name].secret) or name in {f"{TABLE}.{entry}" for entry in SECRETS}


def _value(text: str, form: str) -> object:
    """A variable's text as its kind of setting takes it; what is not understood stays text, and is judged so."""
    if form == "list" and not text.lstrip().startswith("["):
        return [each.strip() for each in text.split(",") if each.strip()]
    if form != "text":
        with suppress(tomllib.TOMLDecodeError):
            parsed = tomllib.loads(f"value = {text}")
            return parsed["value"] if len(parsed) == 1 else text
    return text
