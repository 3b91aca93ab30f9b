"""The deployment's secret, which keys ids, experiment arms and the tokens in links."""

from __future__ import annotations

import os
from pathlib import Path

from state.files import write_once

SECRET_BYTES = 32


def load_or_make(path: Path) -> bytes:
    """The secret in this file, made at the first start.  Raises `ValueError` for a file that holds none."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_once(path, os.urandom(SECRET_BYTES).hex() + "\n")
    text = path.read_text().strip()
    if len(text) < SECRET_BYTES:
        raise ValueError(f"{path}: a secret has at least {SECRET_BYTES} characters. Remove the file to have one made.")
    return text.encode()
