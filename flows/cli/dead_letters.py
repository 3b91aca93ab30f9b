"""What was set aside: look at it, and give it back."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Iterator
from typing import Annotated

import typer

from config import Settings
from flows import worker_doors as doors
from flows.cli.options import Config, Json, audit, fail, settings_of
from state import dead_letters
from state.dead_letters import BYTES_MAX, DeadLetter
from state.records import TopicPartition

app = typer.Typer(help="Records that were set aside: list them, show one, give them back.", no_args_is_help=True)
TOPIC = "dead-letters"


def letters(settings: Settings) -> Iterator[DeadLetter]:
    """All that is in the topic, each once, in the order of its partitions."""
    reader = doors.open_reader(settings, "impuls-commands")
    try:
        partitions = [TopicPartition(TOPIC, partition) for partition in reader.partitions(TOPIC)]
        if not partitions:
            return
        positions, ends = reader.beginnings(partitions), reader.ends(partitions)
        reader.assign(positions)
        seen: set[str] = set()
        while any(positions[tp] < ends[tp] for tp in partitions):
            for fetched in reader.poll(1000):
                positions[TopicPartition(fetched.topic, fetched.partition)] = fetched.end
                for record in fetched.records:
                    letter = dead_letters.from_json(record.value or b"")
                    if letter.id not in seen:
                        seen.add(letter.id)
                        yield letter
            reader.wait(0.05)
    finally:
        reader.close()


@app.command("list")
def list_(config: Config = None, as_json: Json = False) -> None:
    """What was set aside, and why."""
    settings = settings_of(config)
    audit(settings, "dead-letters list")
    letter = None
    for letter in letters(settings):
        if as_json:
            print(dead_letters.to_json(letter).decode())
        else:
            place = f"{letter.topic}/{letter.partition}@{letter.offset}"
            first = letter.error.splitlines()[0] if letter.error else ""
            print(f"{letter.id}  {letter.at}  {letter.reason:<20} {place:<28} {letter.flow or '-':<16} {first[:80]}")
    if letter is None:
        print("Nothing was set aside.", file=sys.stderr)


@app.command()
def show(id: Annotated[str, typer.Argument(metavar="ID")], config: Config = None) -> None:
    """One of them as a whole, its bytes too."""
    settings = settings_of(config)
    letter = _find(settings, [id])[0]
    audit(settings, "dead-letters show", letter.customer)
    shown = json.loads(dead_letters.to_json(letter))
    shown["text"] = base64.b64decode(letter.bytes).decode("utf-8", "backslashreplace")
    print(json.dumps(shown, indent=2, ensure_ascii=False))


@app.command()
def replay(ids: Annotated[list[str], typer.Argument(metavar="ID…")], config: Config = None) -> None:
    """Give them back: a record to its topic; a flow's own failure to that flow alone."""
    settings = settings_of(config)
    found = _find(settings, ids)
    cut = [letter.id for letter in found if not letter.flow and letter.length > BYTES_MAX]
    if cut:
        raise fail(f"{', '.join(cut)}: only the beginning of the record was kept. Send it again where it came from.")
    writer = doors.open_writer(settings)
    for letter in found:
        audit(settings, "dead-letters replay", letter.customer)
        key = base64.b64decode(letter.key) or None
        if letter.flow:
            writer.send("internal", letter.customer.encode(), dead_letters.to_json(letter), letter.id)
        else:
            writer.send(letter.topic, key, base64.b64decode(letter.bytes), letter.id)
    flushed = writer.flush(30)
    time.sleep(0.05)
    errors = [f"{ack.token}: {ack.error}" for ack in writer.acknowledged() if ack.error]
    writer.close()
    if errors or not flushed:
        raise fail("\n".join(errors) or "The log did not take them in 30 seconds. Is it there? Try again.")
    print(f"{len(found)} given back.")


def _find(settings: Settings, ids: list[str]) -> list[DeadLetter]:
    wanted = set(ids)
    found = [letter for letter in letters(settings) if letter.id in wanted]
    missing = wanted - {letter.id for letter in found}
    if missing:
        raise fail(
            f"There is no dead letter {', '.join(sorted(missing))}. `impuls dead-letters list` shows those there are.",
            2,
        )
    return found
