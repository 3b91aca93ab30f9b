"""Flows that ask what is foretold, replayed: the same model, the same decisions, however the work is cut."""

from __future__ import annotations

import json
from pathlib import Path

from flows.published_models import publish
from operators.propensity.forecasts import Forecasts
from operators.propensity.linear import Linear
from tests.flows.commands import impuls

PATIENT = '''
"""Those who will buy anyway are left in peace."""
from flows.messages import greeting
from operators.flow import Flow, Template, hours, leave, on, send, split, wait, when
from operators.propensity.conditions import likely_to_buy
from operators.propensity.window import habits
from state.events import ProductAdded

nudge = Template("nudge", greeting)
patient = Flow("patient", enter=on(ProductAdded), steps=[
    wait("rest", hours(2)), split(when(likely_to_buy(at_least=0.5), leave), otherwise=[send(nudge)]),
])
FLOWS = [patient]
WINDOWS = [habits]
'''


def events(folder: Path) -> Path:
    """Of twenty who put something in a cart, every other one had looked twice before."""
    lines = []
    for number in range(20):
        for minute in range(1 + number % 2):
            lines.append((number, minute, "Product Viewed"))
        lines.append((number, 30, "Product Added"))
    path = folder / "events.jsonl"
    with path.open("w") as out:
        for number, minute, name in sorted(lines, key=lambda line: line[1]):
            who = {"type": "track", "event": name, "userId": f"c{number}", "messageId": f"{number}-{minute}"}
            what = {"timestamp": f"2026-01-05T08:{minute:02}:00Z", "properties": {"product_id": "p"}}
            out.write(json.dumps({**who, **what}) + "\n")
    return path


def decided(folder: Path, *options: str | Path) -> bytes:
    out = folder / "out"
    arguments = ("replay", events(folder), "--out", out, "--flows", "patient", "--play-out", "1d", *options)
    ended = impuls(*arguments, path=folder, cwd=folder)
    assert ended.code == 0, ended.err
    assert (out / "dead-letters.jsonl").read_bytes() == b""
    return (out / "decisions.jsonl").read_bytes()


def test_a_replay_asks_the_model_it_is_given_and_none_else(tmp_path: Path) -> None:
    (tmp_path / "patient.py").write_text(PATIENT)
    models = tmp_path / "models"
    publish(models, Forecasts(buys=Linear({"views<3": 4.0}, intercept=-2.0, outcomes=1)))
    with_it = decided(tmp_path, "--models", models)
    assert {json.loads(line)["customer"] for line in with_it.splitlines()} == {f"c{n}" for n in range(0, 20, 2)}
    assert decided(tmp_path, "--models", models, "--batch-size", "3", "--workers", "2") == with_it
    assert len(decided(tmp_path).splitlines()) == 20


def test_her_hour_is_the_same_however_the_work_is_cut(tmp_path: Path) -> None:
    timely = PATIENT.replace("conditions import likely_to_buy", "conditions import her_hour").replace(
        'wait("rest", hours(2)), split(when(likely_to_buy(at_least=0.5), leave), otherwise=[send(nudge)]),',
        'wait_until("rest", her_hour()), send(nudge),',
    )
    (tmp_path / "patient.py").write_text(timely.replace("wait, when", "wait_until"))
    models = tmp_path / "models"
    publish(models, Forecasts(hours=tuple(float(hour == 16) for hour in range(24))))
    made = decided(tmp_path, "--models", models)
    at = [json.loads(line)["at"] for line in made.splitlines()]
    assert {moment[:13] for moment in at} == {"2026-01-05T16"}
    assert len(set(at)) == 20
    assert decided(tmp_path, "--models", models, "--batch-size", "3", "--workers", "2") == made


def test_a_model_that_cannot_be_read_is_named_before_anything_is_played(tmp_path: Path) -> None:
    (tmp_path / "patient.py").write_text(PATIENT)
    (tmp_path / "propensity-3.json").write_bytes(b"{")
    arguments = ("replay", events(tmp_path), "--out", tmp_path / "out", "--flows", "patient", "--models", tmp_path)
    ended = impuls(*arguments, path=tmp_path, cwd=tmp_path)
    assert ended.code == 2
    assert "propensity-3.json" in ended.err
