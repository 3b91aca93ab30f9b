"""`impuls export`: Parquet that DuckDB, pandas and Spark read, each row in it once, whoever is killed meanwhile."""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import msgspec
import pandas as pd
import pytest

from benchmarks.peers.environments import NotInstalled, python_of
from connectors import log
from flows.cli_export.export import Export
from flows.cli_export.progress import FOLDER, Progress
from flows.cli_export.tables import ORDERS, TABLES, decision_row, delivery_row, event_rows, recommendation_row
from state import decisions
from state.decisions import Decision, timer_cause
from state.instants import format_instant
from state.recommendations import Recommendation, Recommended
from state.records import LogError, TopicPartition, TopicSpec
from state.store_errors import StoreBusy, StoreRefused
from tests.flows.deployments import running, until
from tests.flows.test_cli_report import SETTINGS, identify, track

MONDAY, HOUR = 1_767_571_200_000, 3_600_000
KILLS = 6
READINGS = {
    "decisions": decision_row,
    "deliveries": delivery_row,
    "orders": event_rows("orders", "PLN"),
    "recommendations": recommendation_row,
}
Rows = Iterable[tuple[str, str, bytes]]


def decided(n: int) -> tuple[str, str, bytes]:
    at = format_instant(MONDAY + n * HOUR)
    made = Decision(
        decision_id=f"d{n}",
        message_id=f"m{n}",
        at=at,
        customer=f"c{n % 7}",
        flow="abandoned_cart",
        flow_version="v",
        passage=f"p{n}",
        step="enter/cart_reminder/1",
        message="cart_reminder",
        channel="email",
        kind="marketing",
        outcome="send",
        cause=timer_cause("cooling_off", MONDAY + n * HOUR),
        propensity=0.25,
    )
    return "decisions", made.customer, decisions.to_json(made)


def delivered(n: int) -> tuple[str, str, bytes]:
    told = {"message_id": f"m{n}", "at": format_instant(MONDAY + n * HOUR), "attempt": 1, "provider": "smtp"}
    return "deliveries", f"c{n % 7}", json.dumps({**told, "result": "accepted", "took_ms": 2.5}).encode()


def ordered(n: int) -> tuple[str, str, bytes]:
    lines = [{"product_id": "p1", "quantity": 2, "price": "9.99"}, {"product_id": "żółw"}]
    event = track(f"c{n % 7}", MONDAY + n * HOUR, "Order Completed", order_id=f"o{n}", total="19.98", products=lines)
    return "orders", f"c{n % 7}", json.dumps(event).encode()


def recommended(n: int) -> tuple[str, str, bytes]:
    items = tuple(Recommended(item=item, score=0.5, reason="seen_together", because="p0") for item in ("p1", "p2"))
    made = Recommendation(
        recommendation_id=f"r{n}",
        at=format_instant(MONDAY + n * HOUR),
        customer=f"c{n % 7}",
        message_id=f"m{n}",
        block="discover",
        strategy="co_visitation",
        fallback=False,
        items=items,
    )
    return "recommendations", made.customer, msgspec.json.encode(made)


def day(count: int, since: int = 0) -> Rows:
    return [row for n in range(since, since + count) for row in (decided(n), delivered(n), ordered(n))]


def append(folder: Path, rows: Rows) -> None:
    specs = [TopicSpec(name, 3, 3650) for name in READINGS]
    log.create_topics(folder, specs)
    with closing(log.LogWriter(folder)) as writer:
        for topic, customer, value in rows:
            while not writer.send(topic, customer.encode(), value):
                writer.wait(0.01)
        assert writer.flush(60)


def export(to: Path, source: Path, told: Any = lambda *_: None, **how: bool) -> int:
    to.mkdir(exist_ok=True)
    with closing(Progress(to, "shop")) as progress, closing(log.LogReader(source)) as reader:
        return Export(to, progress, reader, READINGS).run(told, **how)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.parquet"))}


def asked(query: str) -> list[Any]:
    return duckdb.connect().execute(query).fetchall()


def counted(folder: Path, table: str, what: str = "count(*)") -> Any:
    [[found]] = asked(f"select {what} from read_parquet('{folder}/{table}/*/*.parquet')")
    return found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of a hundred decisions, deliveries and orders."""
    folder = tmp_path_factory.mktemp("shop")
    append(folder / "log", day(100))
    assert export(folder / "out", folder / "log") == 300
    return folder / "out"


def test_duckdb_reads_rows_days_and_exact_money(shop: Path) -> None:
    days = asked(
        f"select day, count(*) from read_parquet('{shop}/decisions/*/*.parquet', hive_partitioning = true) "
        "group by day order by day"
    )
    assert [(str(each), count) for each, count in days[:2]] == [("2026-01-05", 24), ("2026-01-06", 24)]
    assert sum(count for _, count in days) == 100
    assert counted(shop, "orders", "sum(total)") == Decimal("1998.0000")
    lines = f"select unnest(products) as line from '{shop}/orders/*/*.parquet'"
    assert asked(f"select sum(line.price * line.quantity) from ({lines})") == [(Decimal(1998),)]
    both = f"'{shop}/decisions/*/*.parquet' join '{shop}/deliveries/*/*.parquet' using (message_id)"
    assert asked(f"select count(*) from {both}") == [(100,)]


def test_recommendations_are_written_with_their_products_in_order(tmp_path: Path) -> None:
    append(tmp_path / "log", [recommended(n) for n in (1, 1, 2)])
    assert export(tmp_path / "out", tmp_path / "log") == 2
    rows = pd.read_parquet(tmp_path / "out" / "recommendations").set_index("recommendation_id")
    assert [each["item"] for each in rows.loc["r1", "items"]] == ["p1", "p2"]
    assert (rows.loc["r2", "message_id"], rows.loc["r2", "propensity"]) == ("m2", 1.0)


def test_pandas_reads_what_was_written(shop: Path) -> None:
    orders = pd.read_parquet(shop / "orders").sort_values("at")
    assert list(orders["order_id"]) == [f"o{n}" for n in range(100)]
    assert orders["at"].iloc[1] == pd.Timestamp("2026-01-05T01:00:00Z")
    assert orders["products"].iloc[0][1]["product_id"] == "żółw"
    assert orders["day"].astype(str).nunique() == 5
    row = pd.read_parquet(shop / "decisions").set_index("decision_id").loc["d3"]
    assert (row["propensity"], row["cause_timer"], row["customer"]) == (0.25, "cooling_off", "c3")


SPARK = """
import sys
from pyspark.sql import SparkSession
session = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
tables = {name: session.read.parquet(f"{sys.argv[1]}/{name}") for name in ("decisions", "deliveries", "orders")}
print("COUNTS", *(table.count() for table in tables.values()))
print("DAYS", tables["orders"].select("day").distinct().count())
print("TOTAL", tables["orders"].agg({"total": "sum"}).first()[0])
print("JOINED", tables["decisions"].join(tables["deliveries"], "message_id").count())
session.stop()
"""


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_spark_reads_what_was_written(shop: Path) -> None:
    if shutil.which("java") is None:
        pytest.skip("left out, no Java here: Spark was not tried")
    try:
        python = python_of("spark", Path(__file__).parent)
    except NotInstalled as error:
        pytest.skip(f"left out, Spark was not tried: {error}")
    environment = {**os.environ, "PYTHONPATH": "", "SPARK_LOCAL_IP": "127.0.0.1"}
    ended = subprocess.run(
        [python, "-c", SPARK, shop], capture_output=True, text=True, timeout=300, env=environment, check=False
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    told = dict(line.split(" ", 1) for line in ended.stdout.splitlines() if line[:1].isupper())
    assert told["COUNTS"] == "100 100 100"
    assert told["DAYS"] == "5"
    assert Decimal(told["TOTAL"]) == Decimal("1998")
    assert told["JOINED"] == "100"


def test_what_is_new_is_added_and_what_is_there_stays_as_it_is(tmp_path: Path) -> None:
    append(tmp_path / "log", day(30))
    assert export(tmp_path / "out", tmp_path / "log") == 90
    before = files(tmp_path / "out")
    assert export(tmp_path / "out", tmp_path / "log") == 0
    assert files(tmp_path / "out") == before
    append(tmp_path / "log", day(10, since=30))
    assert export(tmp_path / "out", tmp_path / "log") == 30
    after = files(tmp_path / "out")
    assert {name: after[name] for name in before} == before
    assert counted(tmp_path / "out", "decisions", "count(distinct decision_id)") == 40


def test_what_stands_twice_in_the_log_is_one_row(tmp_path: Path) -> None:
    append(tmp_path / "log", [*day(20), *day(20)])
    export(tmp_path / "out", tmp_path / "log")
    append(tmp_path / "log", day(20))
    export(tmp_path / "out", tmp_path / "log")
    assert [counted(tmp_path / "out", table) for table in ("decisions", "deliveries", "orders")] == [20, 20, 20]


def _export_and_die(to: Path, source: Path, steps: int) -> None:
    """Killed when it opens, renames or syncs its so manieth file."""
    left = itertools.count(steps, -1)

    def die(event: str, _: Any) -> None:
        if event in ("open", "os.rename", "os.mkdir") and next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(die)
    export(to, source)


def _killed(to: Path, source: Path, steps: int) -> bool:
    child = multiprocessing.get_context("spawn").Process(target=_export_and_die, args=(to, source, steps))
    child.start()
    child.join()
    return child.exitcode == -signal.SIGKILL


def test_an_export_that_is_killed_again_and_again_makes_the_same_files(tmp_path: Path) -> None:
    append(tmp_path / "log", day(400))
    export(tmp_path / "whole", tmp_path / "log")
    chance = Random(3)
    for n in range(KILLS):
        assert _killed(tmp_path / "broken", tmp_path / "log", chance.randint(10, 200)), "it was through before"
        append(tmp_path / "log", day(5, since=1000 + 5 * n))  # what comes meanwhile is for a later plan
    export(tmp_path / "broken", tmp_path / "log")
    whole, broken = files(tmp_path / "whole"), files(tmp_path / "broken")
    assert {name: broken.get(name) for name in whole} == whole
    for table in ("decisions", "deliveries", "orders"):
        assert counted(tmp_path / "broken", table) == 400 + 5 * KILLS
    assert not list((tmp_path / "broken").rglob(".*.parquet*"))


def test_records_that_retention_took_first_are_missed(tmp_path: Path) -> None:
    append(tmp_path / "log", day(10))
    export(tmp_path / "out", tmp_path / "log")
    append(tmp_path / "log", day(10, since=10))
    log.apply_retention(tmp_path / "log", time.time() + 4000 * 86_400)
    append(tmp_path / "log", day(10, since=20))
    with pytest.raises(LogError, match=r"--skip-lost"):
        export(tmp_path / "out", tmp_path / "log")
    assert export(tmp_path / "out", tmp_path / "log", skip_lost=True) == 30
    assert counted(tmp_path / "out", "orders") == 20


class _Killed(Exception):
    """When what is on disk was to be committed."""


def _die(*_: Any) -> None:
    raise _Killed


def _ends(source: Path) -> dict[TopicPartition, int]:
    with closing(log.LogReader(source)) as reader:
        return reader.ends([TopicPartition(topic, number) for topic in READINGS for number in range(3)])


def _of_anna(since: int, until: int) -> Rows:
    """Orders that all stand in one partition."""
    return [(topic, "anna", value) for topic, _, value in map(ordered, range(since, until))]


@pytest.mark.parametrize("exported", [0, 10])
def test_rows_of_a_killed_chunk_whose_beginning_retention_took_are_kept_and_stand_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exported: int
) -> None:
    source, to, later = tmp_path / "log", tmp_path / "out", time.time() + 4000 * 86_400
    append(source, _of_anna(0, exported))
    export(to, source)
    append(source, _of_anna(exported, 20))
    log.apply_retention(source, later, dict.fromkeys(_ends(source), 0))  # only closes the segment
    halfway = _ends(source)
    append(source, _of_anna(20, 40))
    with monkeypatch.context() as patched:
        patched.setattr(Progress, "commit", _die)
        with pytest.raises(_Killed):
            export(to, source)
    log.apply_retention(source, later, halfway)
    append(source, _of_anna(40, 50))
    assert export(to, source, skip_lost=exported > 0) == 10
    assert (counted(to, "orders"), counted(to, "orders", "count(distinct event_id)")) == (50, 50)
    assert export(to, source) == 0


def test_the_query_of_the_page_runs_beside_a_file_that_is_being_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, to = tmp_path / "log", tmp_path / "out"
    append(source, _of_anna(0, 5))
    export(to, source)
    append(source, _of_anna(5, 9))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", _die)
        with pytest.raises(_Killed):
            export(to, source)
    assert counted(to, "orders") == 5
    assert export(to, source) == 4
    assert not list(to.glob("orders/*/.*"))


def test_two_exports_do_not_write_into_one_folder_nor_two_deployments(tmp_path: Path) -> None:
    with closing(Progress(tmp_path, "shop")), pytest.raises(StoreBusy):
        Progress(tmp_path, "shop")
    with pytest.raises(StoreRefused, match="another deployment"):
        Progress(tmp_path, "another")


def test_the_columns_are_those_that_the_page_promises() -> None:
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text()
    for table in TABLES:
        section = page.split(f"## `{table.name}`")[1].split("\n## ")[0]
        told = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("| `")]
        promised = [(name.strip().strip("`"), kind.strip()) for name, kind in told]
        assert promised == [(field.name, _kind(field.type)) for field in table.schema], table.name


def _kind(kind: Any) -> str:
    shown = str(kind)
    return {"timestamp[ms, tz=UTC]": "timestamp", "decimal128(20, 4)": "decimal(20,4)"}.get(
        shown, "list of structs" if shown.startswith("list") else shown
    )


def test_refunds_and_readers_are_told_apart(tmp_path: Path) -> None:
    customer = "c1"
    events = [
        track(customer, MONDAY, "Order Refunded", order_id="o1", total="5"),
        {**track(customer, MONDAY, "Email Opened", message_id="m1"), "context": {"userAgent": "Mozilla/5.0"}},
        track(customer, MONDAY, "Unsubscribed", message_id="m1"),
        track(customer, MONDAY, "Product Viewed", product_id="p1"),
        {"type": "track", "event": "Order Completed"},
    ]
    append(tmp_path / "log", [("orders", customer, json.dumps(event).encode()) for event in events])
    assert export(tmp_path / "out", tmp_path / "log") == 3
    assert pd.read_parquet(tmp_path / "out" / "orders")[["kind", "total"]].values.tolist() == [
        ["refunded", Decimal("5.0000")]
    ]
    read = pd.read_parquet(tmp_path / "out" / "engagement").sort_values("kind")
    assert read[["kind", "is_machine"]].values.tolist() == [["opened", True], ["unsubscribed", None]]
    assert ORDERS.schema.metadata == {b"impuls.schema": b"1"}


def test_a_running_deployment_is_exported_beside_its_worker(tmp_path: Path) -> None:
    with running(tmp_path / "live", "--only", "worker", settings=SETTINGS) as shop:
        at = round(time.time() * 1000) - HOUR
        consent = {"channel": "email", "topic": "marketing"}
        shop.import_events(identify("anna", at), track("anna", at, "Consent Granted", **consent))
        assert until(lambda: len(shop.decisions()) == 1), shop.log()

        def exported() -> bool:
            ended = shop.impuls("export", "--to", tmp_path / "out")
            assert ended.code == 0, ended.err
            return (tmp_path / "out" / "decisions").exists()

        assert until(exported), shop.log()
        [decision] = shop.decisions()
        assert counted(tmp_path / "out", "decisions", "any_value(decision_id)") == decision["decision_id"]
        assert (tmp_path / "out" / FOLDER).stat().st_mode & 0o777 == 0o700
