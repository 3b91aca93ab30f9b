"""Known data sets turned into events: pure generators of (key, value) from files.

A new format is a module with a `read`, and a line in `FORMATS`.  Where the events go is the caller's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flows.imports import retailrocket, segment_jsonl
from flows.imports.consent import with_consent
from flows.imports.form import Format, Imported, ImportFault
from flows.imports.output import check_target, write_file
from flows.imports.reading import Meter, Progress, check_files, lines

__all__ = ["FORMATS", "Format", "ImportFault", "check_target", "import_events", "write_file"]

FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
        Format(
            "retailrocket",
            "A shop's views, carts and orders: CSV with the header ts,user,item,event, sorted by ts (Unix seconds or "
            "milliseconds).",
            retailrocket.read,
        ),
        Format("segment-jsonl", "Segment events as they are, one JSON object a line.", segment_jsonl.read),
    )
}


def import_events(
    format: str, files: Sequence[str], consent: bool = False, progress: Progress | None = None
) -> Iterator[tuple[bytes, bytes]]:
    """The events in these files, one file after another, as (customer or nothing, JSON).

    `files` are plain or gzip, `-` is standard input.  `consent` puts a made-up address and a consent before each
    customer's first event.  `progress` is called now and then with the bytes read and their total, 0 where that is
    not known.  Raises `ImportFault`: at once for an unknown format or missing file, later for a bad line.
    """
    form = FORMATS.get(format)
    if form is None:
        raise ImportFault(f'There is no import format "{format}". There are: {", ".join(FORMATS)}.')
    check_files(files)
    meter = Meter(files, progress)
    events = _all(form, files, meter)
    return ((event.key, event.value) for event in (with_consent(events) if consent else events))


def _all(form: Format, files: Sequence[str], meter: Meter) -> Iterator[Imported]:
    for file in files:
        yield from form.read(lines(file, meter))
