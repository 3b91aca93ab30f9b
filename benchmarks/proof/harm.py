"""A machine that does harm to the processes on it: a wall clock that is wrong, a disk that stalls, a power cut.

A layer of ours (`harm.c`, put before the system's own by LD_PRELOAD) stands in for the hardware: it needs a C compiler
and Linux.  What it calls lost is the end of what no `fsync` covered, cut off, as a file system in ordered mode leaves
it; folders and names are never lost, and nothing is left as zeros.
"""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

from benchmarks.proof.deployment import Failed

SOURCE = Path(__file__).with_name("harm.c")
_ENTRY = struct.Struct("qqq")


class Harm:
    """`environment` is what processes need that are to suffer.  Raises `Failed` where there is no compiler."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "harm"
        self._folder.mkdir()
        self._ledger = self._folder / "ledger"
        self._control = self._folder / "control"
        self._ahead = self._stall = 0.0
        self._tell()
        library = self._folder / "harm.so"
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise Failed("no C compiler (cc), and with it no layer that could do harm. Install gcc.")
        command = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"{SOURCE}: {done.stderr.strip()}")
        self.environment = {"LD_PRELOAD": str(library), "HARM": str(self._folder)}

    @property
    def ahead(self) -> float:
        """How many seconds their wall clock is ahead of the machine's."""
        return self._ahead

    @ahead.setter
    def ahead(self, seconds: float) -> None:
        self._ahead = seconds
        self._tell()

    def stall(self, seconds: float) -> None:
        """From now on each write and each sync takes so much longer."""
        self._stall = seconds
        self._tell()

    def trust(self, folder: Path) -> None:
        """What is there now is safe, whoever wrote it."""
        with self._ledger.open("ab") as ledger:
            for path in folder.rglob("*"):
                if path.is_file():
                    told = path.stat()
                    ledger.write(_ENTRY.pack(told.st_dev, told.st_ino, told.st_size))

    def cut_power(self, chance: random.Random, folder: Path, spared: Iterable[Path] = ()) -> int:
        """With all processes dead: of each file keep what was synced, and of the rest as much as chance wants.

        How many bytes were lost.
        """
        safe, lost, whole = self._synced(), 0, set(spared)
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or path.is_symlink() or whole.intersection(path.parents):
                continue
            told = path.stat()
            sure = min(safe.get((told.st_dev, told.st_ino), 0), told.st_size)
            lost += _forget(path, sure, told.st_size, chance)
        return lost

    def _synced(self) -> dict[tuple[int, int], int]:
        raw = self._ledger.read_bytes()
        whole = raw[: len(raw) // _ENTRY.size * _ENTRY.size]
        return {(device, inode): size for device, inode, size in _ENTRY.iter_unpack(whole)}

    def _tell(self) -> None:
        # In place: it is mapped by those who listen.
        raw = struct.pack("qq", round(self._ahead * 1e9), round(self._stall * 1e9))
        if not self._control.exists():
            self._control.write_bytes(raw)
        with self._control.open("r+b") as control:
            control.write(raw)


def _forget(path: Path, sure: int, size: int, chance: random.Random) -> int:
    if size == sure:
        return 0
    kept = chance.choice((sure, size, chance.randint(sure, size)))
    with path.open("r+b") as opened:
        opened.truncate(kept)
    return size - kept
