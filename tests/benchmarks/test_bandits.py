"""`make bench-bandits` on small made files of the same form."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from benchmarks.bandits.__main__ import main

HILLSTROM = "mens,womens,newbie,segment,visit"
OPEN_BANDIT = "policy,campaign,item_id,position,click,propensity_score"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    chance = Random(1)
    rates = {"good": 0.3, "bad": 0.1}
    visits = [HILLSTROM]
    for _ in range(12_000):
        arm = chance.choice(list(rates))
        visits.append(f"{chance.randrange(2)},1,0,{arm},{int(chance.random() < rates[arm])}")
    clicks = [OPEN_BANDIT]
    for policy, shares in (("random", [0.25] * 4), ("bts", [0.4, 0.3, 0.2, 0.1])):
        for n in range(3_000):
            item = chance.choices(range(4), shares)[0]
            clicks.append(f"{policy},all,{item},1,{int(n % 10 <= item)},{shares[item]}")
    for name, lines in (("hillstrom_email.csv.gz", visits), ("open_bandit_sample.csv.gz", clicks)):
        with gzip.open(tmp_path / name, "wt") as out:
            out.write("\n".join(lines) + "\n")
    return tmp_path


def test_learning_costs_less_than_chance_and_logs_tell_the_truth(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["--data", str(data), "--replays", "2", "--horizon", "4000", "--html", str(data / "page.html")]
    assert main(asked) == 0
    result: Any = json.loads(capsys.readouterr().out.splitlines()[-1].removeprefix("RESULT "))
    assert result["regret"]["best arm"] == pytest.approx(0, abs=0.1)
    assert result["regret"]["uniform"] == pytest.approx(400, rel=0.1)
    assert result["regret"]["Thompson"] < 100
    assert (result["ope_supported"], result["ope_within"]) == (6, 6)
    assert "<svg" in (data / "page.html").read_text()


def test_where_the_data_are_not_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--data", str(tmp_path)]) == 2
    assert "hillstrom_email.csv.gz and open_bandit_sample.csv.gz" in capsys.readouterr().err
