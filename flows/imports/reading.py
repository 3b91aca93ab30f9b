"""Lines out of files: plain or gzip by what is in them, `-` for standard input, never more in memory than one line.

Progress is told in bytes of the files as they lie on disk, because a compressed file does not say how long it is.
"""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from flows.imports.form import ImportFault, Line

Progress = Callable[[int, int], None]

STDIN = "-"
LINE_BYTES_MAX = 256 * 1024  # what is longer is cut: far above what the decoder takes, so it still says `too_large`
LINES_PER_REPORT = 5_000
_GZIP = b"\x1f\x8b"


def check_files(files: Sequence[str]) -> None:
    """Raise `ImportFault` where a file is not there, before anything is read."""
    if not files:
        raise ImportFault("There is no file to import. Name one or more, or - for standard input.")
    if files.count(STDIN) > 1:
        raise ImportFault("Standard input (-) is named more than once; it can be read once.")
    for file in files:
        if file != STDIN and not Path(file).is_file():
            raise ImportFault(f"{file}: there is no such file. Name one that exists, or - for standard input.")


class Meter:
    """How much of all the files has been read; `total` is 0 where nobody can know (standard input)."""

    def __init__(self, files: Sequence[str], progress: Progress | None) -> None:
        self._progress = progress
        self._done = 0
        self._total = 0 if STDIN in files else sum(Path(file).stat().st_size for file in files)

    def tell(self, position: int) -> None:
        if self._progress is not None:
            self._progress(self._done + position, self._total)

    def finish(self, size: int) -> None:
        self._done += size
        self.tell(0)


class _Counted(io.RawIOBase):
    """A raw stream that knows how far it was read, which standard input cannot tell."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self.position = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        # `os.read` hands over what a pipe has, so that the first lines of a slow one are not waited for.
        data = os.read(self._raw.fileno(), len(buffer))
        buffer[: len(data)] = data
        self.position += len(data)
        return len(data)


@contextmanager
def _opened(file: str) -> Iterator[tuple[_Counted, IO[bytes]]]:
    with ExitStack() as stack:
        raw = sys.stdin.buffer if file == STDIN else stack.enter_context(Path(file).open("rb", buffering=0))
        counted = _Counted(raw)
        buffered = io.BufferedReader(counted, 1 << 18)
        stream: IO[bytes] = buffered
        if buffered.peek(2)[:2] == _GZIP:
            stream = io.BufferedReader(gzip.GzipFile(fileobj=buffered), 1 << 18)
        yield counted, stream


def lines(file: str, meter: Meter) -> Iterator[Line]:
    """The lines of one file.  Raises `ImportFault` where it cannot be read on."""
    name = "standard input" if file == STDIN else file
    number = 0
    try:
        with _opened(file) as (counted, stream):
            while text := stream.readline(LINE_BYTES_MAX):
                number += 1
                if len(text) == LINE_BYTES_MAX and not text.endswith(b"\n"):
                    _skip_rest(stream)
                yield Line(name, number, text.rstrip(b"\r\n"))
                if not number % LINES_PER_REPORT:
                    meter.tell(counted.position)
            meter.finish(counted.position)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        raise ImportFault(
            f"{name}, after line {number}: the compressed data is cut off or damaged. Fetch the file again."
        ) from None
    except OSError as error:
        raise ImportFault(f"{name}, after line {number}: it cannot be read ({error.strerror or error}).") from None


def _skip_rest(stream: IO[bytes]) -> None:
    while (more := stream.readline(LINE_BYTES_MAX)) and not more.endswith(b"\n"):
        pass
