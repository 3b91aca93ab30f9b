"""Imported events into one file of JSON lines, whole or not at all.

The same events make the same bytes, compressed ones too.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from flows.imports.form import ImportFault

COMPRESSION = 6
SUFFIXES = (".jsonl", ".jsonl.gz")


def check_target(path: Path) -> None:
    """Raise `ImportFault` where nothing can be written to, before anything is read."""
    if not path.name.endswith(SUFFIXES):
        raise ImportFault(f"{path}: the name ends neither in .jsonl nor in .jsonl.gz, so its form is not known.")
    if not path.parent.is_dir():
        raise ImportFault(f"{path}: the folder {path.parent} does not exist. Make it first.")
    if path.is_dir():
        raise ImportFault(f"{path}: it is a folder. Name a file.")


def write_file(path: Path, events: Iterable[tuple[bytes, bytes]]) -> int:
    """Write the values of (key, value) pairs, one a line; returns how many.

    What was in the file stays there until all is written, and stays for good when anything fails.
    Raises `ImportFault`.
    """
    check_target(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            written = _write(file, events, compressed=path.name.endswith(".gz"))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        raise ImportFault(f"{path}: it cannot be written ({error.strerror or error}).") from error
    finally:
        part.unlink(missing_ok=True)
    return written


def _write(file: IO[bytes], events: Iterable[tuple[bytes, bytes]], *, compressed: bool) -> int:
    if not compressed:
        return _lines(file, events)
    # Neither a time nor a name in the gzip header: they would make equal data differ.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=COMPRESSION, fileobj=file, mtime=0) as packed:
        return _lines(packed, events)


def _lines(file: IO[bytes] | gzip.GzipFile, events: Iterable[tuple[bytes, bytes]]) -> int:
    written = 0
    for _, value in events:
        file.write(value + b"\n")
        written += 1
    return written
