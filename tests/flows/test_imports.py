"""What comes out of the data sets that Impuls knows, and what is said of those that are broken."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flows.imports import FORMATS, ImportFault, import_events, write_file
from flows.imports.reading import LINE_BYTES_MAX
from state.decode import Decoder, Rejected
from state.events import ConsentGranted, Event, Identified, OrderCompleted, ProductAdded, ProductViewed

HEADER = "ts,user,item,event"
ROWS = [
    "1430623510,u1,p1,view",
    "1430623511,u1,p1,addtocart",
    "1430623511,u2,p9,view",
    "1430623600,u1,p1,transaction",
    "1430623600,u2,p9,transaction",
    "1430623600,u1,p2,transaction",
    "1430623600,u1,p2,transaction",
    "1430623601,u1,p3,transaction",
]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return csv(tmp_path, ROWS)


def csv(folder: Path, rows: list[str], name: str = "shop.csv") -> Path:
    path = folder / name
    path.write_text("\n".join([HEADER, *rows]) + "\n")
    return path


def retailrocket(*paths: Path, consent: bool = False) -> list[dict[str, Any]]:
    return [json.loads(value) for _, value in import_events("retailrocket", [*map(str, paths)], consent)]


def told(event: dict[str, Any]) -> tuple[str, str, str]:
    return event["userId"], event.get("event", event["type"]), event["timestamp"][11:19]


def test_views_carts_and_orders_become_events(shop: Path) -> None:
    assert [told(event) for event in retailrocket(shop)] == [
        ("u1", "Product Viewed", "03:25:10"),
        ("u1", "Product Added", "03:25:11"),
        ("u2", "Product Viewed", "03:25:11"),
        ("u2", "Order Completed", "03:26:40"),
        ("u1", "Order Completed", "03:26:40"),
        ("u1", "Order Completed", "03:26:41"),
    ]


def test_what_one_visitor_bought_in_one_second_is_one_order(shop: Path) -> None:
    order = retailrocket(shop)[4]["properties"]
    assert order["products"] == [{"product_id": "p1", "quantity": 1}, {"product_id": "p2", "quantity": 2}]


def test_there_are_no_carts_and_no_prices(shop: Path) -> None:
    text = json.dumps(retailrocket(shop))
    assert not [word for word in ("cart_id", "price", "total", "currency") if word in text]


def test_milliseconds_are_read_too(tmp_path: Path) -> None:
    path = csv(tmp_path, ["1430623600100,u1,p1,transaction", "1430623600900,u1,p2,transaction"])
    [order] = retailrocket(path)
    assert order["timestamp"] == "2015-05-03T03:26:40.900Z"
    assert len(order["properties"]["products"]) == 2


def test_the_decoder_reads_all_of_it(shop: Path) -> None:
    kinds = [type(event) for event in decoded(shop, consent=True)]
    assert kinds == [
        *(Identified, ConsentGranted, ProductViewed, ProductAdded),
        *(Identified, ConsentGranted, ProductViewed),
        *(OrderCompleted, OrderCompleted, OrderCompleted),
    ]


def decoded(path: Path, *, consent: bool) -> Iterator[Event]:
    decoder = Decoder("PLN")
    for key, value in import_events("retailrocket", [str(path)], consent):
        event = decoder.decode(value, key=key, topic="clickstream", partition=0, offset=0, now=1_800_000_000_000)
        assert not isinstance(event, Rejected), event
        yield event


def test_consent_comes_once_and_just_before_the_first_event(shop: Path) -> None:
    events = retailrocket(shop, consent=True)
    assert [told(event) for event in events[:3]] == [
        ("u1", "identify", "03:25:10"),
        ("u1", "Consent Granted", "03:25:10"),
        ("u1", "Product Viewed", "03:25:10"),
    ]
    assert events[0]["traits"] == {"email": "cu1@example.invalid"}
    assert events[1]["properties"].items() >= {"channel": "email", "topic": "marketing", "source": "import"}.items()
    assert events[1]["properties"]["proof"]
    assert sum(event.get("event") == "Consent Granted" for event in events) == 2


def test_importing_twice_makes_the_same_ids(shop: Path, tmp_path: Path) -> None:
    twice = retailrocket(shop, shop, consent=True)
    assert {event["messageId"] for event in twice} == {e["messageId"] for e in retailrocket(shop, consent=True)}
    cut = [csv(tmp_path, ROWS[:3], "1.csv"), csv(tmp_path, ROWS[3:], "2.csv")]
    assert retailrocket(*cut) == retailrocket(shop)


def test_rows_that_are_alike_are_still_events_of_their_own(tmp_path: Path) -> None:
    same = retailrocket(csv(tmp_path, ["1430623510,u1,p1,view"] * 3))
    assert len({event["messageId"] for event in same}) == 3


@pytest.mark.parametrize(
    ("row", "fact"),
    [
        ("1430623520,u1,p1", "3 columns"),
        ("yesterday,u1,p1,view", "ts is no whole number"),
        ("12,u1,p1,view", "between 2000 and 2100"),
        ("-1430623520,u1,p1,view", "ts is no whole number"),
        ("9" * 5000 + ",u1,p1,view", "ts is no whole number"),
        ("1430623520,,p1,view", "user is not an id"),
        ("1430623520,u1,a b,view", "item is not an id"),
        ("1430623520,u1,p1,purchase", "event is none of"),
        ("1430623509,u1,p1,view", "Sort the file by ts"),
    ],
)
def test_a_bad_row_is_told_with_its_file_and_line(tmp_path: Path, row: str, fact: str) -> None:
    path = csv(tmp_path, [ROWS[0], row])
    with pytest.raises(ImportFault, match=rf"shop\.csv, line 3: .*{fact}"):
        retailrocket(path)


def test_a_file_of_another_form_is_told_at_its_first_line(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("timestamp,visitorid,event,itemid,transactionid\n")
    with pytest.raises(ImportFault, match=r"other\.csv, line 1: the header"):
        retailrocket(tmp_path / "other.csv")


def test_what_is_not_there_is_told_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(ImportFault, match="retailrocket, segment-jsonl"):
        import_events("shopify", ["x"])
    with pytest.raises(ImportFault, match="no such file"):
        import_events("retailrocket", [str(tmp_path / "gone.csv")])
    with pytest.raises(ImportFault, match="more than once"):
        import_events("retailrocket", ["-", "-"])
    assert all(form.about for form in FORMATS.values())


def test_compressed_files_are_known_by_what_is_in_them(shop: Path, tmp_path: Path) -> None:
    packed = tmp_path / "no_suffix"
    packed.write_bytes(gzip.compress(shop.read_bytes()))
    assert retailrocket(packed) == retailrocket(shop)


def test_a_compressed_file_that_is_cut_off_is_told(shop: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(shop.read_bytes())[:-9])
    with pytest.raises(ImportFault, match=r"cut\.csv\.gz, after line \d+: the compressed data is cut off"):
        retailrocket(cut)


def test_standard_input_is_read_as_it_comes(shop: Path) -> None:
    code = (
        "from flows.imports import import_events\nfor _, v in import_events('retailrocket', ['-']): print(v.decode())"
    )
    out = subprocess.run([sys.executable, "-c", code], input=shop.read_bytes(), capture_output=True, check=True)
    assert [json.loads(line) for line in out.stdout.splitlines()] == retailrocket(shop)


def test_progress_ends_at_the_size_of_the_files(shop: Path) -> None:
    told: list[tuple[int, int]] = []
    list(import_events("retailrocket", [str(shop), str(shop)], progress=lambda read, total: told.append((read, total))))
    size = shop.stat().st_size
    assert told == [(size, 2 * size), (2 * size, 2 * size)]


def test_segment_lines_pass_as_they_are(tmp_path: Path) -> None:
    lines = [
        b'{"userId": "c1", "anonymousId": "a1", "type": "track"}',
        b'{"anonymousId": "a1", "type": "track"}',
        b'{"userId": 7}',
        b"not json",
        b'{"userId": "caf\xe9"}',
    ]
    (tmp_path / "e.jsonl").write_bytes(b"\n\r\n".join(lines) + b"\n  \n")
    events = list(import_events("segment-jsonl", [str(tmp_path / "e.jsonl")]))
    assert [value for _, value in events] == lines
    assert [key for key, _ in events] == [b"c1", b"a1", b"7", b"", b""]


def test_an_endless_line_is_cut_and_the_next_one_is_whole(tmp_path: Path) -> None:
    (tmp_path / "e.jsonl").write_bytes(b"x" * (3 * LINE_BYTES_MAX) + b'\n{"userId": "c1"}\n')
    events = list(import_events("segment-jsonl", [str(tmp_path / "e.jsonl")]))
    assert [(key, len(value)) for key, value in events] == [(b"", LINE_BYTES_MAX), (b"c1", 16)]


def test_segment_customers_consent_at_their_first_event_with_a_time(tmp_path: Path) -> None:
    lines = ['{"userId":"ü@x","timestamp":"soon"}', '{"userId":"ü@x","timestamp":"2026-01-01T00:00:00.000Z"}']
    (tmp_path / "e.jsonl").write_text("\n".join(lines))
    found = [json.loads(value) for _, value in import_events("segment-jsonl", [str(tmp_path / "e.jsonl")], True)]
    assert [event.get("type") for event in found] == [None, "identify", "track", None]
    address = found[1]["traits"]["email"]
    assert address.isascii()
    assert address.count("@") == 1


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_the_same_events_make_the_same_file(tmp_path: Path, shop: Path, name: str) -> None:
    written = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        assert write_file(folder / name, import_events("retailrocket", [str(shop)])) == 6
        written.append((folder / name).read_bytes())
    assert written[0] == written[1]
    text = gzip.decompress(written[0]) if name.endswith("gz") else written[0]
    assert [json.loads(line) for line in text.splitlines()] == retailrocket(shop)


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    out.write_text("as it was")
    broken = csv(tmp_path, [*ROWS, "?"])
    with pytest.raises(ImportFault):
        write_file(out, import_events("retailrocket", [str(broken)]))
    assert out.read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "shop.csv"]


def test_a_target_of_another_form_is_refused(tmp_path: Path) -> None:
    for target in (tmp_path / "out.csv", tmp_path / "gone" / "out.jsonl"):
        with pytest.raises(ImportFault):
            write_file(target, [])
