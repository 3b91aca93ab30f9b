"""The effective configuration as TOML that reads back as it, but for the secrets, which are masked."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from config.kinds import TomlValue
from config.knobs import knobs, sections
from config.settings import Settings

MASK = "***"
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def show(settings: Settings) -> str:
    """TOML, ending with a newline. Secrets that are set stand as `***`; those that are not, as empty."""
    blocks = ["\n".join(_lines(settings))]
    blocks += [f"[{name}]\n" + "\n".join(_lines(getattr(settings, name))) for name in sections(Settings)]
    return "\n\n".join(blocks) + "\n"


def _lines(section: object) -> Iterator[str]:
    for knob in knobs(type(section)):
        value = knob.kind.write(getattr(section, knob.attribute))
        yield f"{knob.name} = {toml(MASK if knob.secret and value else value)}"


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else toml(name)


def toml(value: TomlValue) -> str:
    """One TOML value, on one line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{_key(name)} = {toml(entry)}" for name, entry in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    # JSON's texts, numbers and booleans are TOML's, but for the one control character JSON leaves as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
