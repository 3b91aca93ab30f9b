"""`make bench-propensity`: what it says of a small made file, and of one that is too short."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.propensity.__main__ import main
from benchmarks.propensity.judging import auc, calibration, calibration_error
from state.events import OrderCompleted, ProductAdded
from tests.operators.propensity.shops import shop


def written(path: Path, days: int) -> Path:
    lines = ["timestamp,visitorid,event,itemid"]
    for who, event in shop(days):
        what = {OrderCompleted: "transaction", ProductAdded: "addtocart"}.get(type(event), "view")
        lines.append(f"{event.at},{who.hex()},{what},p")
    path.write_text("\n".join(lines) + "\n")
    return path


def result(said: str) -> Any:
    return json.loads(said.splitlines()[-1].removeprefix("RESULT "))


def test_it_tells_who_buys_from_who_does_not(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(written(tmp_path / "shop.csv", 60))]) == 0
    said = capsys.readouterr().out
    buys = result(said)["buys"]
    assert buys["auc"] > 0.9
    assert buys["log_loss"] < buys["log_loss_base_rate"]
    assert "stays_away: no answers on both sides of the split; it takes 60 days on each" in said


def test_a_ranking_that_says_nothing_has_an_auc_of_a_half() -> None:
    assert auc([(0.3, True), (0.3, False), (0.3, False)]) == 0.5
    assert auc([(0.9, True), (0.1, False), (0.5, True), (0.6, False)]) == 0.75


def test_what_is_said_too_high_shows_in_the_calibration() -> None:
    judged = [(0.4, number % 5 == 0) for number in range(100)]
    assert calibration_error(calibration(judged, bins=1)) == pytest.approx(0.2)
