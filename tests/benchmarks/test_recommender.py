"""The evaluation of the recommender on files made here: formats, protocols, and what a hit is."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest

from benchmarks.peers.environments import NotInstalled
from benchmarks.recommender import __main__ as command
from benchmarks.recommender import peers
from benchmarks.recommender.judging import Tally
from benchmarks.recommender.models import STAN
from benchmarks.recommender.reading import Click, Unreadable, moment, read


def written(path: Path, header: str, *lines: str) -> Path:
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


def ring(path: Path, sessions: int = 60) -> Path:
    """Each session walks three steps around a ring of ten products: all but its first step can be known."""
    lines = [
        f"{1000 * session + step},s{session},p{(session + step) % 10},{'train' if session < 40 else 'test'}"
        for session in range(sessions)
        for step in range(3)
    ]
    return written(path, "ts,session,item,split", *lines)


def result(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert command.main([*arguments]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("RESULT ")
    found: dict[str, object] = json.loads(last.removeprefix("RESULT "))
    return found


def test_what_can_be_known_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = result(capsys, str(ring(tmp_path / "ring.csv")), "--protocol", "published")
    assert found["hr20"] == 1.0
    assert found["mrr20"] in (0.75, 1.0)  # the product on the page itself may stand before the next one
    assert (found["items"], found["clicks"]) == (10, 180)
    baselines = found["baselines"]
    assert isinstance(baselines, dict)
    assert {*baselines} >= {"popularity", "co_occurrence", "session_knn", "stan"}
    for scores in baselines.values():
        assert {"hr20", "mrr20", "new_hr20", "learn_us", "recommend_p99_us"} <= {*scores}


def test_without_a_file_the_data_set_is_taken_where_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("IMPULS_DATA", str(tmp_path))
    with pytest.raises(SystemExit):
        command.main([""])
    assert "DATA=clicks.csv.gz" in capsys.readouterr().err
    with gzip.open(tmp_path / "retailrocket_events.csv.gz", "wt") as out:
        out.write("timestamp,visitorid,event,itemid\n1000,a,view,p1\n2000,a,view,p2\n")
    assert result(capsys, "", "--baselines", "none")["clicks"] == 2


def test_in_a_stream_nothing_is_known_before_it_happened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path / "two.csv", "ts,session,item", "1,a,x", "2,a,y", "3,b,x", "4,b,y")
    found = result(capsys, str(path), "--protocol", "stream", "--baselines", "none")
    assert found["hr20"] == 0.5
    assert found["baselines"] == {}


def test_formats_that_mean_the_same_read_the_same(tmp_path: Path) -> None:
    seconds = written(tmp_path / "s.csv", "ts,session,item,split", "1592337765.5,10,b,test", "1592337718,10,a,train")
    shuffled = written(
        tmp_path / "ms.csv", "item,split,Timestamp,SessionId", "a,train,1592337718000,10", "b,test,1592337765500,10"
    )
    iso = tmp_path / "iso.csv.gz"
    with gzip.open(iso, "wt", encoding="utf-8") as text:
        text.write("ts,item,session,split\n2020-06-16T20:01:58Z,a,10,train\n2020-06-16 20:02:45.500,b,10,test\n")
    assert read(seconds) == read(shuffled) == read(iso)
    assert [click.item for click in read(seconds)] == ["a", "b"]


def test_retailrockets_own_format_has_weights(tmp_path: Path) -> None:
    path = written(
        tmp_path / "rr.csv", "timestamp,visitorid,event,itemid,transactionid", "1433221332117,257597,addtocart,355908,"
    )
    [click] = read(path)
    assert (click.at, click.session, click.item, click.weight) == (1433221332117, "257597", "355908", 3.0)


def test_orders_count_as_sessions_and_what_was_brought_back_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "online_retail.csv"
    path.write_text(
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
        "536365,71053,LANTERN,6,2010-12-01 08:26:00,3.39,17850,United Kingdom\n"
        "C536379,71053,LANTERN,-1,2010-12-01 09:41:00,3.39,17850,United Kingdom\n"
        "536365,22752,NESTING BOXES,2,2010-12-01 08:26:00,7.65,,United Kingdom\n"
    )
    assert [(click.session, click.item, click.weight) for click in read(path)] == [
        ("536365", "71053", 1.0),
        ("536365", "22752", 1.0),
    ]


def test_faults_name_the_place_and_the_way_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    headless = written(tmp_path / "no.csv", "when,who,what", "1,a,x")
    assert command.main([str(headless)]) == 2
    assert "no column for at, item, session" in capsys.readouterr().err
    broken = written(tmp_path / "broken.csv", "ts,session,item", "1,a,x", "soon,a,y")
    with pytest.raises(Unreadable, match=r"broken\.csv:3"):
        read(broken)
    with pytest.raises(Unreadable, match="cannot be read"):
        read(tmp_path / "none.csv")
    unsplit = written(tmp_path / "unsplit.csv", "ts,session,item", "1,a,x")
    assert command.main([str(unsplit), "--protocol", "published"]) == 2
    assert "PROTOCOL=stream" in capsys.readouterr().err


HEAD = b"ts,session,item\n"
PACKED = gzip.compress(HEAD + b"1,a,x\n2,a,y\n" * 9, mtime=0)


BROKEN = {
    "infinite": (HEAD + b"inf,a,x\n", "clicks:2: inf is no time"),
    "too large for a float": (HEAD + b"1,a,x\n1e400,a,x\n", "clicks:3: 1e400 is no time"),
    "no number": (HEAD + b"nan,a,x\n", "clicks:2: nan is no time"),
    "after the last day": (HEAD + b"1e30,a,x\n", "clicks:2: 1e30 is no time"),
    "a quote not closed": (
        HEAD + b'1,a,"x\n' + b"2,b,y\n" * 30_000,
        "clicks, after line 1: it is no CSV (field larger than",
    ),
    "Latin-1": (HEAD + b"1,a,caf\xe9\n", "it is not UTF-8"),
    "UTF-16": ((HEAD + b"1,a,x\n").decode().encode("utf-16"), "clicks, after line 0: it is not UTF-8"),
    "cut off": (PACKED[:-12], "the compressed data is cut off or damaged"),
    "damaged within": (PACKED[:4] + b"\xff" * 40, "the compressed data is cut off or damaged"),
    "another checksum": (PACKED[:-8] + b"\0" * 8, "the compressed data is cut off or damaged"),
    "a short row": (HEAD + b"1,a,x\n1700000003,b", "clicks:3: column item is empty or missing"),
    "no session": (HEAD + b"1, ,x\n", "clicks:2: column session is empty or missing"),
    "no time": (HEAD + b",a,x\n", "clicks:2: column ts is empty or missing"),
}


@pytest.mark.parametrize(("data", "said"), BROKEN.values(), ids=BROKEN)
def test_no_file_ends_the_command_with_a_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, said: str
) -> None:
    (tmp_path / "clicks").write_bytes(data)
    assert command.main([str(tmp_path / "clicks"), "--baselines", "none"]) == 2
    assert said in capsys.readouterr().err


def test_a_network_is_asked_under_the_published_protocol_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "clicks").write_bytes(b"ts,session,item,split\n1,a,x,train\n2,a,y,train\n3,b,x,test\n4,b,y,test\n")
    with pytest.raises(SystemExit):
        command.main([str(tmp_path / "clicks"), "--gru4rec"])
    assert "--protocol published" in capsys.readouterr().err

    def python_of(name: str) -> Path:
        raise NotInstalled("no network to fetch it over")

    monkeypatch.setattr(peers, "python_of", python_of)
    asked = ["--baselines", "none", "--protocol", "published", "--gru4rec"]
    assert command.main([str(tmp_path / "clicks"), *asked]) == 0
    told = capsys.readouterr().out
    assert "gru4rec          not run: no network to fetch it over" in told
    assert json.loads(told.splitlines()[-1].removeprefix("RESULT "))["baselines"] == {"gru4rec": None}


def test_sessions_that_were_learnt_but_come_later_are_as_near_as_those_of_now() -> None:
    neighbours = STAN()
    for click in (Click(10**15, "later", item, 1.0, "train") for item in ("a", "b")):
        neighbours.learn(click)
    neighbours.see(Click(0, "now", "a", 1.0, "test"))
    assert [*neighbours.recommend("now", 0)] == ["a", "b"]


def test_moments_before_and_after_1970_have_one_meaning() -> None:
    assert moment("1592337718") == moment("1592337718000") == moment("2020-06-16T20:01:58+00:00")
    assert moment("1592337718000000") == moment("1592337718000000000") == 1592337718000
    assert (moment("0"), moment("-1"), moment("-1e12")) == (0, -1000, -1_000_000_000_000)


def test_a_hit_counts_by_its_place() -> None:
    tally = Tally()
    tally.judge(["a", "b"], "b", new=True)
    tally.judge(["a", "b"], "c", new=False)
    assert (tally.result()["hr20"], tally.result()["mrr20"], tally.result()["new_hr20"]) == (0.5, 0.25, 1.0)
    assert tally.result()["ndcg20"] == round(0.5 / math.log2(3), 4)


def test_what_sells_is_a_baseline_of_any_file_however_short_or_long_ago(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = [f"{1_000_000_000 + 25 * 86_400 * n + k},{n},p{k}" for n in range(80) for k in range(3)]
    path = written(tmp_path / "years.csv", "ts,session,item", *days)
    found = [result(capsys, str(path), "--baselines", "popularity,co_occurrence") for _ in range(2)]
    baselines = found[0]["baselines"]
    assert isinstance(baselines, dict)
    assert baselines["popularity"]["hr20"] > 0.95
    assert _without_costs(found[0]) == _without_costs(found[1])


def _without_costs(found: object) -> object:
    if not isinstance(found, dict):
        return found
    return {name: _without_costs(value) for name, value in found.items() if not name.endswith("_us")}
