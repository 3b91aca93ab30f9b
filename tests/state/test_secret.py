"""The deployment's secret, and how a data folder knows its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from state.identity import FORMAT, identify, keep_secret, read
from state.ids import Ids
from state.secret import load_or_make, told_of
from state.store_errors import StoreRefused

DIGITS = "0123456789abcdef" * 4


def begun(folder: Path) -> tuple[Path, Path]:
    """A secret, and a data folder that knows it."""
    path, data_dir = folder / "secret", folder / "data"
    identify(data_dir, 16)
    keep_secret(data_dir, told_of(load_or_make(path, data_dir)))
    return path, data_dir


def test_a_secret_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    path, data_dir = begun(tmp_path)
    first = load_or_make(path)
    assert len(first) == 64
    assert load_or_make(path, data_dir) == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert first.decode() not in (data_dir / "identity.json").read_text()


@pytest.mark.parametrize("place", [0, 31, 63])
def test_any_other_secret_is_refused_with_its_place_and_the_way_out(tmp_path: Path, place: int) -> None:
    path, data_dir = begun(tmp_path)
    text = path.read_text()
    path.write_text(text[:place] + ("0" if text[place] != "0" else "1") + text[place + 1 :])
    with pytest.raises(StoreRefused, match="another secret than") as told:
        load_or_make(path, data_dir)
    assert str(path) in str(told.value)
    assert str(data_dir) in str(told.value)


def test_none_is_made_where_the_folder_knows_of_one(tmp_path: Path) -> None:
    path, data_dir = begun(tmp_path)
    path.unlink()
    with pytest.raises(StoreRefused, match="is missing"):
        load_or_make(path, data_dir)
    assert not path.exists()


@pytest.mark.parametrize("found", [b"", b"too short", b"\xff" * 64])
def test_a_file_that_holds_none_is_refused(tmp_path: Path, found: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(found)
    with pytest.raises(StoreRefused, match="at least 32 characters"):
        load_or_make(path)


def test_a_line_break_at_the_end_is_not_part_of_it(tmp_path: Path) -> None:
    path, data_dir = begun(tmp_path)
    path.write_text(path.read_text().strip() + "\r\n\n")
    assert load_or_make(path, data_dir) == load_or_make(path)


def test_of_a_long_secret_all_counts_though_ids_take_its_beginning(tmp_path: Path) -> None:
    one, other = (DIGITS + "x").encode(), (DIGITS + "y").encode()
    assert Ids(one).customer(b"anna") == Ids(other).customer(b"anna")
    assert told_of(one) != told_of(other)


def test_a_folder_of_before_learns_its_secret_and_stays_what_it_was(tmp_path: Path) -> None:
    tmp_path.joinpath("identity.json").write_text(json.dumps({"id": "abc", "shards": 16, "format": FORMAT}))
    assert load_or_make(tmp_path / "secret", tmp_path)
    keep_secret(tmp_path, "0123456789abcdef")
    keep_secret(tmp_path, "another")
    found = read(tmp_path / "identity.json")
    assert (found.id, found.shards, found.secret) == ("abc", 16, "0123456789abcdef")
