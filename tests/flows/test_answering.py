"""An answer always comes, also where what the learner wrote cannot be read; and it is as new as that."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config import load
from config.settings import Settings
from flows import serve_recommendations
from flows import worker_doors as doors
from flows.serve_recommendations import Recommending
from operators.recommender import reading
from operators.recommender.lessons import Lessons
from operators.recommender.model import STATE, CoVisitation
from operators.recommender.shelf import Shelf
from state import customer as customers
from state import events as ev
from state.customer import Customer
from state.ids import Ids, shard_of
from state.item_store import FOLDER, ItemStore
from state.keys import KeyStore
from state.recommendations import Recommendation
from state.rocks import Memory
from state.secret import load_or_make
from tests.flows.deployments import until
from tests.state.stores import fill, opened

NOW = round(time.time() * 1000)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = load(None, {"IMPULS_DATA_DIR": str(tmp_path / "data"), "IMPULS_SECRET_FILE": str(tmp_path / "secret")})
    doors.make_topics(made)
    return made


@pytest.fixture
def recommending(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recommending]:
    monkeypatch.setattr(reading, "REFRESH_SECONDS", 0.0)
    monkeypatch.setattr(serve_recommendations, "SHARD_SECONDS", -1.0)
    monkeypatch.setattr(serve_recommendations, "APART_SECONDS", 0.0)
    (tmp_path / "scratch").mkdir()
    made = Recommending(settings, Ids(load_or_make(settings.secret_file)), tmp_path / "scratch")
    yield made
    made.close()


def learn(settings: Settings, state: bytes | None = None, *, following: str = "laces") -> None:
    store = ItemStore.open(settings.data_dir, Memory(8, 8))
    shelf = Shelf(store)
    model = CoVisitation(shelf)
    lessons = Lessons(model, shelf)
    for n in range(20):
        for product in ("shoes", following):
            lessons.take(b"%d" % n, ev.ProductViewed(product_id=product, at=NOW + n))
    rows, facts = shelf.to_save()
    store.commit(rows, facts, {STATE: model.state_bytes() if state is None else state}, {})
    store.close()


def asked(recommending: Recommending) -> list[tuple[str, list[str]]]:
    answers: list[Recommendation] = [
        recommending.recommend("anna", "discover", 4, frozenset()),
        recommending.similar("shoes", 4),
    ]
    return [(each.strategy, sorted(item.item for item in each.items)) for each in answers]


def test_damage_is_answered_with_what_can_be_read(settings: Settings, recommending: Recommending) -> None:
    learn(settings, b"\x01not what was written")
    assert asked(recommending) == [("popularity", []), ("co_visitation", ["laces"])]  # of what sells nothing is known
    learn(settings)
    assert asked(recommending) == [("popularity", ["laces", "shoes"]), ("co_visitation", ["laces"])]


def test_what_is_similar_is_as_new_as_what_the_learner_wrote(settings: Settings, recommending: Recommending) -> None:
    learn(settings)
    first = recommending.similar("shoes", 4)
    assert recommending.similar("shoes", 4).recommendation_id == first.recommendation_id
    learn(settings, following="polish")
    assert until(lambda: "polish" in [each.item for each in recommending.similar("shoes", 4).items], 8.0)


def test_what_is_learnt_anew_in_an_empty_folder_is_found(settings: Settings, recommending: Recommending) -> None:
    learn(settings)
    assert recommending.similar("shoes", 4).strategy == "co_visitation"
    shutil.rmtree(settings.data_dir / FOLDER)
    assert recommending.recommend("berta", "discover", 1, frozenset()).strategy == "popularity"
    learn(settings)
    assert recommending.similar("laces", 4).strategy == "co_visitation"


def test_what_a_worker_wrote_before_it_was_started_anew_is_read(settings: Settings, recommending: Recommending) -> None:
    chash = Ids(load_or_make(settings.secret_file)).customer(b"anna")
    found = []
    for number in range(3):
        for is_looked_at in (False, True):
            with opened(settings.data_dir, shard_of(chash, settings.shards), settings.shards) as shard:
                for events in (100 + number, 10 + number):
                    batch = shard.batch()
                    batch.put_customer(chash, customers.encode(Customer(id="anna", events=events)))
                    shard.commit(batch)
                    if is_looked_at and events >= 100:
                        recommending._record("anna")
        found.append(recommending._record("anna"))
    assert [each.events for each in found if each is not None] == [10, 11, 12]


def test_of_whom_was_erased_nothing_is_read_any_more(settings: Settings, recommending: Recommending) -> None:
    chash = Ids(load_or_make(settings.secret_file)).customer(b"anna")
    number = shard_of(chash, settings.shards)
    with opened(settings.data_dir, number, settings.shards) as shard:
        assert recommending._record("anna") is None
        fill(shard, chash, customers.encode(Customer(id="anna")))
        assert recommending._record("anna") is not None
        shard.erase(chash)
        assert recommending._record("anna") is None
        reading, _ = recommending._shards[number]
        assert isinstance(reading.keys, KeyStore)
        reading.keys._cache.drop(chash)
        assert reading.keys.get(chash) is None
