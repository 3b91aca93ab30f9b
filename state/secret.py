"""The deployment's secret, which keys ids, experiment arms and the tokens in links.

Under another secret nobody is recognised: whoever is in the stores stands there under a keyed hash.  So a data folder
knows which secret it was begun with, by a keyed hash of it.
"""

from __future__ import annotations

import os
from hashlib import blake2b
from pathlib import Path

from state import identity
from state.files import write_once
from state.store_errors import StoreRefused

SECRET_BYTES = 32


def load_or_make(path: Path, data_dir: Path | None = None) -> bytes:
    """The secret in this file, made at the first start.

    Raises `StoreRefused` for a file that holds none, and where it is missing or another one than `data_dir` knows.
    """
    if data_dir is not None and (known := identity.secret_of(data_dir)):
        return _known(path, known, identity.file(data_dir))
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_once(path, os.urandom(SECRET_BYTES).hex() + "\n")
    return _read(path)


def told_of(secret: bytes) -> str:
    """What a data folder keeps of the secret: 16 hex digits, from which nobody learns it."""
    return blake2b(secret, key=secret[:64], person=b"secret", digest_size=8).hexdigest()


def _known(path: Path, known: str, by: Path) -> bytes:
    if not path.exists():
        raise StoreRefused(
            f"{path}: the secret is missing, and {by} tells of one. Put it back from its backup: under another one "
            "nobody in that folder would be recognised."
        )
    secret = _read(path)
    if told_of(secret) != known:
        raise StoreRefused(
            f"{path}: this is another secret than {by} tells of, under which nobody in that folder would be "
            "recognised. Put the right one back from its backup, or name another data_dir."
        )
    return secret


def _read(path: Path) -> bytes:
    try:
        secret = path.read_text().strip().encode()
    except UnicodeDecodeError:
        secret = b""
    if len(secret) < SECRET_BYTES:
        raise StoreRefused(
            f"{path}: a secret has at least {SECRET_BYTES} characters. Put the right one back from its backup; where "
            "nothing was ever started with it, remove the file to have one made."
        )
    return secret
