"""What several commands take, and how they read their configuration."""

from __future__ import annotations

import getpass
import json
import os
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from config import Settings, load
from state.ids import Ids
from state.instants import format_instant, parse_instant
from state.secret import load_or_make

Config = Annotated[
    Path | None, typer.Option("--config", help="The configuration file; else impuls.toml, if it is there.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON lines.")]


def settings_of(config: Path | None, flows: str | None = None) -> Settings:
    """As configured; with another module of flows where one is named."""
    settings = load(config, os.environ)
    return replace(settings, flows=flows) if flows else settings


def ids_of(settings: Settings) -> Ids:
    return Ids(load_or_make(settings.secret_file, settings.data_dir))


def instant(text: str) -> int:
    """A time as an option takes it: ISO 8601 with its zone."""
    try:
        return parse_instant(text)
    except ValueError:
        raise typer.BadParameter(
            f"{text} is no time with a zone. Something like 2026-11-23T10:00:00Z will do."
        ) from None


def audit(settings: Settings, command: str, subject: str = "") -> None:
    """Write down who looked at personal data; of whom stands there as a keyed hash only."""
    line = {
        "at": format_instant(round(time.time() * 1000)),
        "who": getpass.getuser(),
        "command": command,
        "customer": ids_of(settings).customer(subject.encode()).hex() if subject else "",
    }
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(settings.data_dir / "audit.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a") as out:
        out.write(json.dumps(line) + "\n")


def there_are(names: Iterable[str]) -> str:
    """The names that somebody could have meant."""
    known = sorted(names)
    return f"There {'is' if len(known) == 1 else 'are'} {', '.join(known) or 'none'}."


def counted(count: int, what: str) -> str:
    """`1 event`, `2 events`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def fail(text: str, code: int = 1) -> typer.Exit:
    print(text, file=sys.stderr)
    return typer.Exit(code)
