"""What a long-running process says before it goes."""

from __future__ import annotations

import json
import subprocess
import sys


def test_a_process_that_the_log_or_a_store_ends_says_place_fact_and_way_out_in_one_line() -> None:
    said = _said("from state.records import LogError", 'LogError("clickstream/3: the log is damaged. Put it back.")')
    assert said["event"] == "ended by an error"
    assert said["kind"] == "LogError"
    assert said["error"] == "clickstream/3: the log is damaged. Put it back."


def test_a_gap_in_what_a_shard_is_given_is_such_an_error() -> None:
    said = _said(
        "from operators.shard import SourceGap", 'SourceGap("clickstream/3: read from offset 9. Start it again.")'
    )
    assert said["error"] == "clickstream/3: read from offset 9. Start it again."


def test_of_any_other_error_the_log_has_the_places_and_not_what_it_stumbled_over() -> None:
    said = _said("import os", 'ValueError("anna@example.invalid is no number")')
    assert "anna" not in json.dumps(said)
    assert "ValueError" in said["error"]


def test_with_one_of_its_threads_a_process_ends_and_does_not_go_on_half_alive() -> None:
    said = _said("import threading, time", "", then="threading.Thread(target=lambda: 1 / 0).start()\ntime.sleep(60)")
    assert said["kind"] == "ZeroDivisionError"


def _said(first: str, error: str, then: str = "") -> dict[str, str]:
    code = f"{first}\nfrom flows.worker_process import prepare\nprepare('worker-0')\n{then or f'raise {error}'}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    found: dict[str, str] = json.loads(line)
    return found
