"""What the learner knows, on disk: what it learnt of each product, what events said of it, and who is learnt from.

One database beside the shards, with one writer.  Visitors stand in it under a keyed hash, with counts and times and
nothing that names them or what they looked at, so it is not encrypted; and it can be made anew from the log, so it is
no part of a backup.  How far the log was learnt stands in the same write as what was learnt from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from rocksdict import Rdict, WriteBatch

from state.recommendations import ItemFacts
from state.records import TopicPartition
from state.rocks import Memory, get, open_database, scan, told, write
from state.store_errors import StoreDamaged, StoreRefused

FORMAT = 1
FOLDER = "recommender"
_ROW, _FACTS, _NOTE, _MARK, _VISITOR = b"r", b"f", b"n", b"w", b"v"
_FORMAT = b"format"
_encode = msgspec.msgpack.Encoder().encode
_decode_facts = msgspec.msgpack.Decoder(ItemFacts).decode


class ItemStore:
    """Every method raises `StoreDamaged` where bytes are not as they were written."""

    def __init__(self, path: Path, database: Rdict) -> None:
        self.path = path
        self._database = database

    @classmethod
    def open(cls, data_dir: Path, memory: Memory) -> ItemStore:
        """For the one who writes it.  Raises `StoreBusy`, `StoreFull`, `StoreRefused`, `StoreDamaged`."""
        path = data_dir / FOLDER
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        store = cls(path, open_database(path, memory, create=True))
        if get(store._database, _FORMAT, path) is None:
            store._database[_FORMAT] = bytes((FORMAT,))
        store._check()
        return store

    @classmethod
    def open_reading(cls, data_dir: Path, scratch: Path, memory: Memory) -> ItemStore | None:
        """Beside the writer; None where nobody has written yet.  `scratch` is a folder of the reader's own."""
        path = data_dir / FOLDER
        if not (path / "CURRENT").exists():
            return None
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        store = cls(path, open_database(path, memory, create=False, secondary=scratch / FOLDER))
        store.refresh()
        store._check()
        return store

    def row(self, item: str) -> bytes | None:
        return get(self._database, _ROW + item.encode(), self.path)

    def facts(self, item: str) -> ItemFacts | None:
        found = get(self._database, _FACTS + item.encode(), self.path)
        try:
            return None if found is None else _decode_facts(found)
        except msgspec.MsgspecError as error:
            raise StoreDamaged(f"{self.path}: what is known of a product cannot be read ({error}).") from None

    def note(self, name: str) -> bytes | None:
        """What is learnt of all products at once, by name."""
        return get(self._database, _NOTE + name.encode(), self.path)

    def visitors(self) -> Iterator[tuple[bytes, bytes]]:
        """Who is learnt from, by keyed hash."""
        return ((place[1:], visitor) for place, visitor in scan(self._database, _VISITOR, _VISITOR, self.path))

    def watermarks(self) -> dict[TopicPartition, int]:
        """Per partition the first offset not learnt from."""
        found: dict[TopicPartition, int] = {}
        for place, value in scan(self._database, _MARK, _MARK, self.path):
            topic, partition = place[1:].decode().rsplit("/", 1)
            found[TopicPartition(topic, int(partition))] = int.from_bytes(value, "big")
        return found

    def commit(
        self,
        rows: Mapping[str, bytes],
        facts: Mapping[str, ItemFacts],
        notes: Mapping[str, bytes],
        watermarks: Mapping[TopicPartition, int],
        visitors: Mapping[bytes, bytes | None] | None = None,
    ) -> None:
        """Write all or nothing; visitors who are None are removed.  Raises `StoreFull`."""
        batch = WriteBatch(raw_mode=True)
        for item, row in rows.items():
            batch.put(_ROW + item.encode(), row)
        for item, said in facts.items():
            batch.put(_FACTS + item.encode(), _encode(said))
        for name, note in notes.items():
            batch.put(_NOTE + name.encode(), note)
        for who, visitor in (visitors or {}).items():
            if visitor is None:
                batch.delete(_VISITOR + who)
            else:
                batch.put(_VISITOR + who, visitor)
        for (topic, partition), offset in watermarks.items():
            batch.put(_MARK + f"{topic}/{partition}".encode(), offset.to_bytes(8, "big"))
        write(self._database, batch, self.path)

    def refresh(self) -> None:
        """Reading beside the writer: see what it has written since."""
        try:
            self._database.try_catch_up_with_primary()
        except Exception as error:
            raise told(self.path, error) from error

    def close(self) -> None:
        self._database.close()

    def _check(self) -> None:
        found = get(self._database, _FORMAT, self.path)
        if found is not None and found[0] > FORMAT:
            raise StoreRefused(
                f"{self.path}: written by a newer version (format {found[0]}, this one knows {FORMAT}). Start the "
                "newer version again, or remove the folder: it is learnt anew from the log."
            )
