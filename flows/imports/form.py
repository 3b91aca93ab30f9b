"""What every import format is: a name, a sentence, and a reader of lines.  Reads no file and writes none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple


class ImportFault(ValueError):
    """Something cannot be imported, or not there; the message names the file, the line, the fact and the way out."""


class Line(NamedTuple):
    """One line of a file, without its line break.  `number` counts from 1."""

    file: str
    number: int
    text: bytes

    def fault(self, fact: str) -> ImportFault:
        return ImportFault(f"{self.file}, line {self.number}: {fact}")


class Imported(NamedTuple):
    """An event on its way in.  `key` is its customer or nothing; `at` is 0 where it has no sane time."""

    key: bytes
    value: bytes
    at: int


Lines = Iterator[Line]  # of one file, each as it is asked for


@dataclass(frozen=True)
class Format:
    """A known form of data.  `read` takes the lines of one file."""

    name: str
    about: str
    read: Callable[[Lines], Iterator[Imported]]
