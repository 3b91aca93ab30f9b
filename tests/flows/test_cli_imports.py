"""`impuls import` as a process: into a file, into the log, and when it cannot."""

from __future__ import annotations

import gzip
import json
from contextlib import closing
from pathlib import Path

import pytest

from connectors.log import LogReader
from tests.connectors.contract import all_of
from tests.flows.commands import asked, impuls

HEADER = "ts,user,item,event\n"
ROWS = "1430622000,7,p1,view\n1430622001,7,p1,addtocart\n1430622001,8,p2,view\n1430622002,7,p1,transaction\n"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "impuls.toml").write_text(f'data_dir = "{tmp_path}/data"\nsecret_file = "{tmp_path}/data/secret"\n')
    return tmp_path


def in_topic(shop: Path, topic: str) -> int:
    with closing(LogReader(shop / "data" / "log")) as reader:
        return sum(reader.ends(all_of(reader, topic)).values())


def test_the_formats_are_listed_with_what_they_are() -> None:
    ended = impuls("import", "--list")
    assert ended.code == 0
    assert {line.split()[0] for line in ended.out.splitlines()} == {"retailrocket", "segment-jsonl"}


def test_a_shops_history_becomes_a_file_that_says_how_much_it_is(shop: Path) -> None:
    (shop / "rr.csv").write_text(HEADER + ROWS)
    out = shop / "rr.jsonl.gz"
    ended = impuls("import", "retailrocket", shop / "rr.csv", "--consent", "--to", out)
    assert (ended.code, ended.out) == (0, "")
    assert ended.err == f"8 events: {out}\n"
    names = [json.loads(line).get("event", "identify") for line in gzip.decompress(out.read_bytes()).splitlines()]
    assert names.count("identify") == names.count("Consent Granted") == 2
    assert names.count("Order Completed") == 1


def test_events_come_into_the_log_from_a_file_and_it_says_where_they_are(shop: Path) -> None:
    (shop / "rr.csv").write_text(HEADER + ROWS)
    ended = impuls("import", "retailrocket", shop / "rr.csv", "--config", shop / "impuls.toml")
    assert ended.code == 0, ended.err
    assert ended.err == "4 events: topic clickstream of the embedded log\n"
    assert in_topic(shop, "clickstream") == 4


def test_what_a_catalogue_tells_comes_into_its_own_topic(shop: Path) -> None:
    at = '"timestamp":"2026-01-05T12:00:00Z","type":"track"'
    word = f'{{"event":"Product Changed","messageId":"1","properties":{{"product_id":"p1","price":"5"}},{at}}}'
    view = f'{{"event":"Product Viewed","messageId":"2","userId":"anna","properties":{{"product_id":"p1"}},{at}}}'
    (shop / "all.jsonl").write_text(f"{word}\n{view}\n")
    ended = impuls("import", "segment-jsonl", shop / "all.jsonl", "--config", shop / "impuls.toml")
    assert ended.code == 0, ended.err
    assert ended.err == "2 events: 1 in topic catalogue, the others in topic clickstream of the embedded log\n"
    assert (in_topic(shop, "catalogue"), in_topic(shop, "clickstream")) == (1, 1)


def test_a_shop_with_other_topics_gets_them_where_it_reads(shop: Path) -> None:
    (shop / "rr.csv").write_text(HEADER + ROWS)
    ended = impuls(
        "import", "retailrocket", shop / "rr.csv", "--config", shop / "impuls.toml", IMPULS_KAFKA__TOPICS="events,shop"
    )
    assert ended.code == 0, ended.err
    assert in_topic(shop, "events") == 4


def test_a_bad_row_is_named_and_what_came_before_it_is_counted(shop: Path) -> None:
    (shop / "rr.csv").write_text(HEADER + ROWS + "1430622009,7,p1,stared at\n")
    ended = impuls("import", "retailrocket", shop / "rr.csv", "--config", shop / "impuls.toml")
    assert ended.code == 2
    assert "rr.csv, line 6: event is none of view, addtocart and transaction" in ended.err
    assert "Importing again does no harm" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["retailrocket"], "Name a format and its files"),
        (["shopify", "x.csv"], 'There is no import format "shopify"'),
        (["retailrocket", "not-there.csv"], "there is no such file"),
        (["segment-jsonl", "-", "--to", "out.csv"], "ends neither in .jsonl nor in .jsonl.gz"),
        (["segment-jsonl", "-", "--to", "kafka"], 'the configuration has source = "log"'),
    ],
)
def test_the_callers_mistakes_are_told_in_a_sentence(arguments: list[str], said: str) -> None:
    ended = asked("import", *arguments)
    assert ended.code == 2
    assert said in ended.err
    assert "Traceback" not in ended.err
