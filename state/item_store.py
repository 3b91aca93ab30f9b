"""What the learner knows, on disk: what it learnt of each product, what events said of it, and who is learnt from.

One database beside the shards, with one writer.  What is known of products is nobody's, and in the clear; visitors
stand under a keyed hash, each sealed under a key of her own.  It can be made anew from the log, so it is no part of
a backup.  How far the log was learnt stands in the same write as what was learnt from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

import msgspec
from rocksdict import Rdict, WriteBatch

from state.recommendations import ItemFacts
from state.records import TopicPartition
from state.rocks import (
    Memory,
    Opening,
    after_all,
    catch_up,
    close,
    compact_hard,
    get,
    give_up,
    open_database,
    scan,
    write,
)
from state.store_errors import StoreDamaged, StoreRefused
from state.visitor_rows import VisitorRows, is_plain

FORMAT = 3  # 1 had visitors in the clear, 2 no journal
FOLDER = "recommender"
_ROW, _FACTS, _NOTE, _MARK, _VISITOR, _ERASED, _JOURNAL = b"r", b"f", b"n", b"w", b"v", b"e", b"j"
_SEALED = 2  # the format since which visitors are
_FORMAT = b"format"
_SEALED_AT_ONCE = 1_000
_encode = msgspec.msgpack.Encoder().encode
_decode_facts = msgspec.msgpack.Decoder(ItemFacts).decode


class ItemStore:
    """Every method raises `StoreDamaged` where bytes are not as they were written."""

    def __init__(
        self, path: Path, database: Rdict, people: VisitorRows | None = None, opening: Opening | None = None
    ) -> None:
        self.path = path
        self._database = database
        self._people = people  # who reads beside the writer has no keys
        self._opening = opening

    @classmethod
    def open(cls, data_dir: Path, memory: Memory) -> ItemStore:
        """For the one who writes it.  Raises `StoreBusy`, `StoreFull`, `StoreRefused`, `StoreDamaged`."""
        path = data_dir / FOLDER
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        database = open_database(path, memory, create=True)
        try:
            store = cls(path, database)
            store._check()
            store._people = VisitorRows(data_dir, memory)
            store._seal_what_is_plain()
        except BaseException:
            give_up(database)
            raise
        return store

    @classmethod
    def open_reading(cls, data_dir: Path, scratch: Path, memory: Memory) -> ItemStore | None:
        """Beside the writer; None where nobody has written yet.  `scratch` is a folder of the reader's own."""
        path = data_dir / FOLDER
        if not (path / "CURRENT").exists():
            return None
        scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
        opening = Opening(path)
        database = open_database(path, memory, create=False, secondary=scratch / FOLDER)
        store = cls(path, database, opening=opening)
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

    def entry(self, number: int) -> bytes | None:
        """Of the journal."""
        return get(self._database, _entry(number), self.path)

    def visitors(self) -> Iterator[tuple[bytes, bytes]]:
        """Who is learnt from, by keyed hash, but for those whose key is gone."""
        people = self._writing()
        for place, stored in scan(self._database, _VISITOR, _VISITOR, self.path):
            visitor = people.open(place[1:], place, stored)
            if visitor is not None:
                yield place[1:], visitor

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
        journal: Mapping[int, bytes | None] | None = None,
    ) -> None:
        """Write all or nothing; visitors and entries of the journal that are None are removed.  Raises `StoreFull`."""
        batch = WriteBatch(raw_mode=True)
        for item, row in rows.items():
            batch.put(_ROW + item.encode(), row)
        for item, said in facts.items():
            batch.put(_FACTS + item.encode(), _encode(said))
        for name, note in notes.items():
            batch.put(_NOTE + name.encode(), note)
        for number, entry in (journal or {}).items():
            if entry is None:
                batch.delete(_entry(number))
            else:
                batch.put(_entry(number), entry)
        people, gone = self._writing(), []
        for who, visitor in (visitors or {}).items():
            place = _VISITOR + who
            if visitor is None:
                batch.delete(place)
                gone.append(who)
            else:
                batch.put(place, people.seal(who, place, visitor))
        for (topic, partition), offset in watermarks.items():
            batch.put(_MARK + f"{topic}/{partition}".encode(), offset.to_bytes(8, "big"))
        people.flush()
        write(self._database, batch, self.path)
        people.forget(gone)

    def erase(self, who: bytes) -> None:
        """Destroy a visitor's key, and what is kept under it here.  Returns when no file holds either."""
        self._writing().destroy(who)
        del self._database[_VISITOR + who]
        compact_hard(self._database, [(_VISITOR + who, after_all(_VISITOR + who))], self.path)

    def erase_with(self, shard: int, scratch: Path) -> list[bytes]:
        """Erase whose keys were destroyed in a shard since this was asked last; who that is.  `scratch` is a folder."""
        erased = []
        for who, mark in self._writing().destroyed_in(shard, scratch):
            if get(self._database, _ERASED + who, self.path) != mark:
                self.erase(who)
                self._database[_ERASED + who] = mark
                erased.append(who)
        return erased

    def refresh(self) -> bool:
        """Reading beside the writer: see what it has written since; whether there was anything."""
        before = self._database.latest_sequence_number()
        catch_up(self._database, self.path)
        return self._database.latest_sequence_number() != before

    @property
    def is_outdated(self) -> bool:
        """Reading beside the writer: whether it is to be opened anew, see `Opening`."""
        return self._opening is not None and self._opening.is_outdated

    def close(self) -> None:
        try:
            close(self._database, self.path)
        finally:
            if self._people is not None:
                self._people.close()

    def _writing(self) -> VisitorRows:
        assert self._people is not None, "who reads beside the writer has no keys"
        return self._people

    def _seal_what_is_plain(self) -> None:
        """Of a store from before visitors were sealed no file is to hold any in the clear."""
        found = get(self._database, _FORMAT, self.path)
        if found == bytes((FORMAT,)):
            return
        if found is not None and found[0] < _SEALED:
            people = self._writing()
            plain = (row for row in scan(self._database, _VISITOR, _VISITOR, self.path) if is_plain(row[1]))
            while some := list(islice(plain, _SEALED_AT_ONCE)):
                batch = WriteBatch(raw_mode=True)
                for place, row in some:
                    batch.put(place, people.seal(place[1:], place, row))
                people.flush()
                write(self._database, batch, self.path)
            compact_hard(self._database, [(_VISITOR, after_all(_VISITOR))], self.path)
        self._database[_FORMAT] = bytes((FORMAT,))

    def _check(self) -> None:
        found = get(self._database, _FORMAT, self.path)
        if found is not None and found[0] > FORMAT:
            raise StoreRefused(
                f"{self.path}: written by a newer version (format {found[0]}, this one knows {FORMAT}). Start the "
                "newer version again, or remove the folder: it is learnt anew from the log."
            )


def _entry(number: int) -> bytes:
    return _JOURNAL + number.to_bytes(8, "big")
