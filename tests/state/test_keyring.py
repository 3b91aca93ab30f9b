"""The file that holds the master keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from state.keyring import KeyRing, load_or_make
from state.store_errors import StoreDamaged, StoreRefused


def test_a_ring_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "keyring"
    wrapped = load_or_make(path, may_make=True).wrap(b"key", b"anna")
    assert load_or_make(path, may_make=False).unwrap(wrapped, b"anna") == b"key"
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("place", range(0, 71, 7))
@pytest.mark.parametrize("bit", range(8))
def test_whichever_bit_is_flipped_the_file_is_named_with_the_way_out(tmp_path: Path, place: int, bit: int) -> None:
    path = tmp_path / "keyring"
    ring = load_or_make(path, may_make=True)
    wrapped, raw = ring.wrap(b"key", b"anna"), bytearray(path.read_bytes())
    raw[place] ^= 1 << bit
    path.write_bytes(raw)
    said = ""
    try:
        assert load_or_make(path, may_make=False).unwrap(wrapped, b"anna") == b"key"  # `a` and `A` are one digit
    except (StoreRefused, StoreDamaged) as error:
        said = str(error)
    assert not said or (str(path) in said and "back from its backup" in said)


def test_a_ring_without_a_file_is_called_one() -> None:
    one, other = KeyRing({1: b"a" * 32}), KeyRing({1: b"b" * 32})
    with pytest.raises(StoreDamaged, match=r"^key ring: "):
        other.unwrap(one.wrap(b"key", b"anna"), b"anna")
