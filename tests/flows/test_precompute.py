"""What to recommend to every customer, as files: complete, and gone on with where it was interrupted."""

from __future__ import annotations

import json
from pathlib import Path

from tests.flows.commands import impuls
from tests.flows.deployments import running, until
from tests.flows.test_cli import MINUTE, ago, track
from tests.flows.test_recommending import items, view


def test_everybody_who_can_be_recommended_something_has_a_line_and_an_interrupted_run_goes_on(tmp_path: Path) -> None:
    crowd = [f"v{number}" for number in range(30)]
    with running(tmp_path, settings="shards = 4") as deployment:
        deployment.import_events(
            *(view(who, "shoes", 9) for who in crowd),
            *(view(who, "laces", 8) for who in crowd[:20]),
            track("nobody", ago(5 * MINUTE), "Coupon Entered", coupon="c"),
        )
        assert until(lambda: items(deployment, "/v1/recommendations/v29?limit=1") == ["laces"]), deployment.log()
        out = tmp_path / "out"
        done = deployment.impuls("precompute", "--out", out, "--limit", "3")
        assert done.code == 0, done.err
        assert done.lines()[0]["customers"] == 31
        whole = {path.name: path.read_text() for path in out.glob("shard-*.jsonl")}
        told = {line["customer"]: line for text in whole.values() for line in map(json.loads, text.splitlines())}
        assert set(told) == {*crowd, "nobody"}
        assert [each["item"] for each in told["v29"]["items"]] == ["laces"]
        assert told["nobody"]["strategy"] == "popularity"

        again = deployment.impuls("precompute", "--out", out, "--limit", "3")
        assert (again.code, "is complete" in again.err) == (2, True)
        (out / "shard-0002.jsonl").rename(out / "shard-0002.part")  # as a kill leaves it
        goes_on = deployment.impuls("precompute", "--out", out, "--limit", "3")
        assert (goes_on.code, "1 of 4 shards are left" in goes_on.err) == (0, True)
        ids = {line["recommendation_id"] for line in told.values()}
        after = [json.loads(line) for path in out.glob("shard-*.jsonl") for line in path.read_text().splitlines()]
        assert {line["recommendation_id"] for line in after} == ids
        assert not list(out.glob("*.part"))

        other = deployment.impuls("precompute", "--out", out, "--limit", "5")
        assert (other.code, "Name another folder" in other.err) == (2, True)
        assert deployment.impuls("precompute", "--out", out, "--block", "magic").code == 2
        assert deployment.stop() == 0, deployment.log()


def test_where_nothing_has_run_there_is_nobody_to_recommend_to(tmp_path: Path) -> None:
    (tmp_path / "impuls.toml").write_text(f'data_dir = "{tmp_path}/data"\n')
    ended = impuls("precompute", "--out", tmp_path / "out", "--config", tmp_path / "impuls.toml")
    assert ended.code == 1
    assert "no worker has run here yet" in ended.err
