"""The harness itself: that it counts right, times from the right moment, and says when it did not keep its rate."""

import gzip
import json
import random
import time
from itertools import islice
from pathlib import Path

import pytest

from benchmarks import layers, quick, throughput
from benchmarks.figures import median, percentile, spread
from benchmarks.shop import write_stream

RESULT_KEYS = {
    "append_to_accepted_ms",
    "replay_events_per_cpu_second",
    "replay_all_flows_events_per_cpu_second",
    "rss_mib_1m_customers",
    "p99_ratio_1m_to_10k",
}


def test_percentiles_are_values_that_were_measured() -> None:
    hundred = [float(n) for n in range(1, 101)]
    random.Random(1).shuffle(hundred)
    assert percentile(hundred, 0.5) == 50
    assert percentile(hundred, 0.99) == 99
    assert percentile(hundred, 1.0) == 100
    assert percentile([7.0], 0.99) == 7
    assert median([3.0, 1.0, 2.0]) == 2
    assert median([3.0, 1.0]) == 2
    assert spread([3.0, 1.0, 2.0]) == "2.0 (1.0 – 3.0)"
    with pytest.raises(ValueError, match="nothing was measured"):
        percentile([], 0.5)


def test_the_same_seed_makes_the_same_shop(tmp_path: Path) -> None:
    first, second, other = tmp_path / "first", tmp_path / "second", tmp_path / "other"
    kinds = write_stream(first, 1, 40)
    assert write_stream(second, 1, 40) == kinds
    write_stream(other, 2, 40)
    assert first.read_bytes() == second.read_bytes() != other.read_bytes()
    lines = [json.loads(line) for line in first.read_text().splitlines()]
    assert len(lines) == kinds.total()
    assert [line["timestamp"] for line in lines] == sorted(line["timestamp"] for line in lines)
    assert len({line["messageId"] for line in lines}) == len(lines)


def test_time_counts_for_the_innermost_layer() -> None:
    main = ["operators.dataflow.run", "flows.cli_replay._work"]
    decoding = [
        "state.instants.parse_instant",
        "state.decode.decode",
        "operators.shard.take",
        "operators.dataflow.on_batch",
    ]
    assert layers.layer_of([main, decoding]) == layers.DECODE
    assert layers.layer_of([main, decoding[2:]]) == layers.MOVE
    assert layers.layer_of([main, decoding[3:]]) == layers.EXCHANGE
    assert layers.layer_of([[*decoding, *main]]) == layers.DECODE, "on the thread that runs it"
    assert layers.layer_of([main]) == layers.EXCHANGE
    assert layers.layer_of([main[1:]]) == layers.OTHER


def test_every_event_of_a_stream_is_replayed_and_counted(tmp_path: Path) -> None:
    events = write_stream(tmp_path / "stream.jsonl", 1, 60).total()
    found = throughput.measure(tmp_path / "stream.jsonl", events, tmp_path / "out")
    assert (found.events, found.dead_letters) == (events, 0)
    assert found.decisions > 0
    assert found.cpu_seconds > 0
    assert found.events_per_cpu_second == pytest.approx(events / found.cpu_seconds)


@pytest.fixture
def little_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The beginning of the Retailrocket data, where they are: two replays of all of them are not tiny."""
    if (whole := throughput.retailrocket()) is not None:
        with gzip.open(whole, "rt") as rows, gzip.open(tmp_path / whole.name, "wt") as cut:
            cut.writelines(islice(rows, 2_000))
        monkeypatch.setenv("IMPULS_DATA", str(tmp_path))


@pytest.mark.timeout(180)
@pytest.mark.usefixtures("little_data")
def test_a_tiny_run_ends_with_a_result_that_has_every_key(capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    assert quick.main(["--tiny"]) == 0
    took = time.monotonic() - began
    out = capsys.readouterr().out
    assert out.splitlines()[-1].startswith("RESULT {")
    result = json.loads(out.splitlines()[-1].removeprefix("RESULT "))
    assert set(result) == RESULT_KEYS
    assert 0 < result["append_to_accepted_ms"]["p50"] <= result["append_to_accepted_ms"]["p99"] < took * 1000
    assert 100 < result["replay_events_per_cpu_second"] < 10_000_000
    assert 20 < result["rss_mib_1m_customers"] < 2_000
    assert result["p99_ratio_1m_to_10k"] > 0
    for told in ("machine", "versions", "commit", "900 customers parked", "mail server", "where it goes"):
        assert told in out
    assert "were not accepted" not in out
