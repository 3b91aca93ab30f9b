"""Small files that must be whole or absent: identities, key rings, secrets.  For one process at a time, or many."""

from __future__ import annotations

import os
import threading
from pathlib import Path


def write_once(path: Path, text: str) -> None:
    """Put a file there as a whole and for good, mode 0600, unless another process was first."""
    fresh = _written(path, text)
    try:
        os.link(fresh, path)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()
    sync_folder(path.parent)


def write_whole(path: Path, text: str) -> None:
    """Put a file there, mode 0600, in the place of what was there: at any instant the old one or the new."""
    _written(path, text).replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Return when the names in this folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _written(path: Path, text: str) -> Path:
    fresh = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    return fresh
