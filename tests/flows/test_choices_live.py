"""Choices in a deployment that runs: workers take up shares that are published, and new ones are learnt beside them."""

from __future__ import annotations

from pathlib import Path

from flows.published_shares import SharesFile, publish
from operators.bandits.schedule import Entry
from tests.flows.commands import ROOT, impuls
from tests.flows.deployments import running, until
from tests.flows.test_choices import CURIOUS
from tests.flows.test_cli import MINUTE, ago, identify, track

SETTINGS = """flows = "curious_live"
[choices]
learn_every = "1 second"
[send]
mode = "mute"
[guards]
marketing_cap = "none"
quiet_hours = "none"
"""
PEOPLE = [f"c{number}" for number in range(12)]


def test_workers_draw_by_what_is_published_while_they_run_and_more_is_learnt_from_it(tmp_path: Path) -> None:
    (tmp_path / "curious_live.py").write_text(CURIOUS)
    for template in ("short", "long"):
        words = tmp_path / "templates" / template
        words.mkdir(parents=True)
        (words / "subject.txt").write_text("Your cart")
        (words / "body.txt").write_text("It is still there.")
    models = tmp_path / "data" / "models"
    first = Entry(choice="subject", number=1, begins=1, shares={"": {"long": 0.0, "short": 1.0}})
    with running(tmp_path, settings=SETTINGS, PYTHONPATH=f"{ROOT}:{tmp_path}") as deployment:
        publish(models, lambda _: [first])
        deployment.import_events(
            *(identify(who, ago(9 * MINUTE)) for who in PEOPLE),
            *(track(who, ago(8 * MINUTE), "Consent Granted", channel="email", topic="marketing") for who in PEOPLE),
            *(track(who, ago(7 * MINUTE), "Product Added", product_id="p", cart_id="k") for who in PEOPLE),
        )
        assert until(lambda: len(deployment.decisions()) == len(PEOPLE)), deployment.log()
        made = deployment.decisions()
        assert {(each["arm"], each["propensity"], each["shares"]) for each in made} == {("short", 1.0, 1)}

        assert until(lambda: (last := SharesFile(models).schedule.last("subject")) is not None and last.number > 1), (
            deployment.log()
        )
        learnt = SharesFile(models).schedule.last("subject")
        assert learnt is not None
        assert 0 < learnt.tries <= len(PEOPLE)
        told = impuls("explain", "c1", "--config", deployment.config, path=tmp_path)
        assert "experiment subject: arm short (100 %, by shares 1)" in told.out, told.err
        assert "all as in the store" in told.out
        assert deployment.stop() == 0, deployment.log()
