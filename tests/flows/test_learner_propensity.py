"""Propensities in the learner: kept with how far was read, published as files that never change."""

from __future__ import annotations

from pathlib import Path

import pytest

from flows.learner_propensity import Foretelling
from flows.published_models import FOLDER, ModelUnreadable, newest, publish
from operators.propensity.forecasts import Forecasts
from operators.propensity.habits import HOUR_MS
from state.item_store import ItemStore
from state.records import TopicPartition
from state.rocks import Memory
from tests.operators.propensity.shops import LEFT_A_CART, LOOKED, T0, shop, view
from tests.state.stores import everything_in

TP = TopicPartition("clickstream", 0)


def save(foretelling: Foretelling, store: ItemStore) -> None:
    foretelling.pass_time()
    notes, visitors = foretelling.to_save()
    store.commit({}, {}, notes, {}, visitors)
    foretelling.saved()


def test_a_learner_publishes_what_it_learnt_also_when_it_was_restarted_on_the_way(tmp_path: Path) -> None:
    events = list(shop(35))
    for part in range(4):
        store = ItemStore.open(tmp_path, Memory(8, 8))
        foretelling = Foretelling(store, tmp_path, "PLN")
        for number, (who, event) in enumerate(events[part * len(events) // 4 : (part + 1) * len(events) // 4]):
            foretelling.take(TP, who, event)
            if number % 50 == 0:
                save(foretelling, store)
        save(foretelling, store)
        store.close()
    published = newest(tmp_path / FOLDER)
    assert published is not None
    left, looked = (published.chance_to_buy(each, T0 + HOUR_MS) for each in (LEFT_A_CART, LOOKED))
    assert left > 2 * looked


def test_a_published_version_is_never_written_over(tmp_path: Path) -> None:
    first = publish(tmp_path, Forecasts(number=1, at=1))
    anew = publish(tmp_path, Forecasts(number=1, at=2))  # a learner whose folder was removed
    assert (first.number, anew.number) == (1, 2)
    assert newest(tmp_path) == anew
    assert len(list(tmp_path.iterdir())) == 2


def test_a_damaged_model_is_named(tmp_path: Path) -> None:
    assert newest(tmp_path / "none") is None
    (tmp_path / "propensity-7.json").write_bytes(b"{")
    with pytest.raises(ModelUnreadable, match=r"propensity-7\.json"):
        newest(tmp_path)


def test_who_became_whom_outlasts_a_restart_and_no_file_says_it_in_the_clear(tmp_path: Path) -> None:
    her, phone = b"k" * 16, b"p" * 16
    store = ItemStore.open(tmp_path, Memory(8, 8))
    foretelling = Foretelling(store, tmp_path, "PLN")
    foretelling.take(TP, phone, view(T0))
    assert foretelling.become(her, phone, T0 + 1)
    save(foretelling, store)
    store.close()
    store = ItemStore.open(tmp_path, Memory(8, 8))
    again = Foretelling(store, tmp_path, "PLN")
    assert (again.whose(phone), again.whose(her)) == (her, her)
    assert phone + her not in everything_in(tmp_path)
    store.close()
