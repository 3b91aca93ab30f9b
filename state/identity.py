"""What a data folder is: how many shards, which of them exist, in which format.

Kept outside the shards, so that a shard that went missing is missed.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from state.files import sync_folder, write_once, write_whole
from state.store_errors import StoreBusy, StoreMismatch, StoreRefused

FORMAT = 1


@dataclass(frozen=True)
class Identity:
    """`secret` is what is kept of the deployment's secret; empty in a folder of before that was kept."""

    id: str
    shards: int
    format: int = FORMAT
    secret: str = ""


def identify(data_dir: Path, shards: int) -> Identity:
    """The identity of a data folder, given to it at its first start.  Raises `StoreRefused`."""
    path = file(data_dir)
    if not path.exists():
        if any((data_dir / "shards").glob("*")):
            raise StoreRefused(
                f"{path}: missing, but there are shards beside it. Put it back from a backup of the data folder."
            )
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_once(path, json.dumps({"id": uuid.uuid4().hex, "shards": shards, "format": FORMAT}))
    return known(data_dir, shards)


def known(data_dir: Path, shards: int) -> Identity:
    """The identity of a data folder that has one.  Raises `StoreRefused`, `StoreMismatch` for another number."""
    path = file(data_dir)
    found = read(path)
    if found.shards != shards:
        raise StoreMismatch(
            f"{path}: the folder was made with {found.shards} shards, the configuration says {shards}. The number "
            f"is fixed when the folder is made: write shards = {found.shards}, or name another data_dir."
        )
    return found


def file(data_dir: Path) -> Path:
    """Where it stands."""
    return data_dir / "identity.json"


def read(path: Path) -> Identity:
    """Raises `StoreRefused`."""
    try:
        found = json.loads(path.read_text())
        written, id, shards = int(found["format"]), str(found["id"]), int(found["shards"])
        secret = str(found.get("secret", ""))
    except (OSError, ValueError, TypeError, KeyError):
        raise StoreRefused(f"{path}: cannot be read. Put it back from a backup of the data folder.") from None
    if written > FORMAT:
        raise StoreRefused(
            f"{path}: written by a newer version (format {written}, this one knows {FORMAT}). Start the newer "
            "version again."
        )
    return Identity(id, shards, written, secret)


def secret_of(data_dir: Path) -> str:
    """What a data folder keeps of its deployment's secret; empty where it knows of none.  Raises `StoreRefused`."""
    path = file(data_dir)
    return read(path).secret if path.exists() else ""


def keep_secret(data_dir: Path, told: str) -> None:
    """From now on the folder knows its secret.  For the one process that owns the folder.  Raises `StoreRefused`."""
    path = file(data_dir)
    found = read(path)
    if not found.secret:
        write_whole(path, json.dumps(asdict(replace(found, secret=told))))


def mark_made(data_dir: Path, shard: int) -> None:
    """Note that a shard exists, so that its absence is noticed from now on."""
    folder = data_dir / "made"
    if not folder.exists():
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(data_dir)
    (folder / f"{shard:03}").touch(mode=0o600)
    sync_folder(folder)


def was_made(data_dir: Path, shard: int) -> bool:
    """Whether a shard has been made here: its folders must be there, then."""
    return (data_dir / "made" / f"{shard:03}").exists()


class Ownership:
    """The lock of the one supervisor that may work on a data folder.  Raises `StoreBusy`."""

    def __init__(self, data_dir: Path) -> None:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = data_dir / "owner.lock"
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise StoreBusy(
                f"{data_dir}: another `impuls run` works on this folder. Stop it first, or name another data_dir."
            ) from None

    def release(self) -> None:
        os.close(self._file)
