"""The demo, with few visitors: what a newcomer sees first must work at once, and again."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.commands import ROOT, impuls


def demo(folder: Path, visitors: int = 240) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flows.demo", "--visitors", str(visitors), "--folder", str(folder)]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_hear_interrupts
    )


def _hear_interrupts() -> None:
    """Who runs the tests in the background has SIGINT ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.timeout(300)
def test_the_demo_ends_by_itself_with_a_table_a_mail_and_where_to_look_next(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "left over").write_text("from a run that was killed")
    running = demo(folder)
    out, err = running.communicate(timeout=200)
    assert running.returncode == 0, out + err
    for row in (
        r"events +\d",
        "customers +240",
        r"decisions: welcome, send +\d",
        r"mails accepted .* +\d",
        r"mails that recommend .* +[1-9]",
        "p50 .* p99",
        "By flow, message and arm",
    ):
        assert re.search(row, out), row
    assert re.search(r"Message-ID: <\w+@", out)
    assert "List-Unsubscribe=One-Click" in out
    commands = [line.split()[1:] for line in out.splitlines() if ".venv/bin/impuls" in line]
    assert len(commands) >= 4
    for command in commands:
        ended = impuls(*command)
        assert ended.code == 0, ended.err
        assert ended.out


@pytest.mark.timeout(200)
def test_two_demos_in_one_folder_do_not_delete_each_others_data_and_ctrl_c_ends_all(tmp_path: Path) -> None:
    first = demo(tmp_path / "demo", visitors=600)
    assert first.stdout is not None
    first.stdout.readline()
    _, err = (second := demo(tmp_path / "demo")).communicate(timeout=60)
    assert second.returncode == 1
    assert "is running in" in err
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=100)
    assert first.returncode == 1
    assert "Traceback" not in err
