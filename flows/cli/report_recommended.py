"""The part of a report that is about recommendations: the topic they are logged in, and what those customers did."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from rich.console import Console
from rich.table import Table

from config import Settings
from flows import worker_doors as doors
from flows.cli.scanning import Progress, partitions_of, scan
from operators.measuring import recommended
from operators.measuring.recommended import Ledger, Line, Took
from state.catalogue import CATALOGUE
from state.decode import Decoder, Rejected, peek_customer
from state.recommendations import TOPIC, Recommendation
from state.records import Reader
from state.sorter import Sorter

COUNTED = (b"Product Viewed", b"Product Added", b"Order ")
_made = msgspec.json.Decoder(Recommendation).decode


def recommended_since(settings: Settings, since: int, progress: Progress) -> Ledger:
    """What the recommendations made since then came to, by what chose them."""
    reader = doors.open_reader(settings, "impuls-commands")
    ledger = Ledger()
    try:
        with Sorter() as sorter:
            whom = _take_shown(reader, sorter, since, progress)
            if whom:
                _take_events(reader, sorter, settings, whom, progress)
            for _, rows in sorter.owners():
                ledger.account([recommended.decode(row) for row in rows])
    finally:
        reader.close()
    return ledger


def _take_shown(reader: Reader, sorter: Sorter, since: int, progress: Progress) -> set[bytes]:
    """The customers who were shown something."""
    whom = set[bytes]()
    partitions = partitions_of(reader, [TOPIC])
    for fetched in scan(reader, reader.beginnings(partitions), reader.ends(partitions), progress):
        for record in fetched.records:
            row = recommended.of_recommendation(_made(record.value or b""))
            if record.key and row.at >= since:
                whom.add(record.key)
                sorter.add(record.key, row.at, b"a" + row.id.encode(), recommended.encode(row))
    return whom


def _take_events(reader: Reader, sorter: Sorter, settings: Settings, whom: set[bytes], progress: Progress) -> None:
    decoder = Decoder(settings.currency)
    partitions = partitions_of(reader, [topic for topic in doors.input_topics(settings) if topic != CATALOGUE])
    for fetched in scan(reader, reader.beginnings(partitions), reader.ends(partitions), progress):
        for record in fetched.records:
            raw = record.value
            key = record.key or peek_customer(raw)
            if raw is None or key not in whom or not any(name in raw for name in COUNTED):
                continue
            event = decoder.decode(
                raw,
                key=key,
                topic=fetched.topic,
                partition=fetched.partition,
                offset=record.offset,
                now=record.timestamp_ms,
                clock="replay",
            )
            for row in [] if isinstance(event, Rejected) else recommended.of_event(event):
                kind = b"b" if isinstance(row, Took) else b"c"
                sorter.add(key, row.at, kind + row.id.encode(), recommended.encode(row))


HEADS = ("block", "chosen by", "in", "shown", "products", "clicked", "bought", "revenue")
NOTE = "clicked: she came to a product within a day, bought: within seven; each is that of what showed it last."


def cells(line: Line) -> list[str]:
    """As a row under `HEADS`."""
    by = f"{line.strategy} {line.model}".strip()
    revenue = ", ".join(f"{amount} {currency}" for amount, currency in line.revenue) or "0"
    share = f"{line.clicked:,} ({100 * line.clicked / line.shown:.1f} %)"
    return [line.block, by, line.place, f"{line.shown:,}", f"{line.products:,}", share, f"{line.bought:,}", revenue]


def show(lines: Iterable[Line], console: Console) -> None:
    table = Table(*HEADS[:3], title="Recommendations, by what chose them")
    for head in HEADS[3:]:
        table.add_column(head, justify="right")
    for line in lines:
        table.add_row(*cells(line))
    console.print(table)
    console.print(NOTE, style="dim", highlight=False)
