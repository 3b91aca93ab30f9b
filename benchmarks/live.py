"""A real `impuls run` on the embedded log to be measured: supervisor, one worker, one courier, each a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from config.settings import Settings
from flows.worker_process import settings_for

READY_SECONDS_MAX = 60.0
STOP_SECONDS_MAX = 60.0


class NotReady(RuntimeError):
    """`impuls run` ended or did not come up; the message says where its log is."""


@dataclass(frozen=True)
class Use:
    """What a process has used: CPU seconds so far, resident memory now and at most (MiB)."""

    cpu_seconds: float
    rss_mib: float
    rss_mib_max: float


def write_config(folder: Path, smtp_port: int) -> Path:
    """Quiet hours would put the mails off that are to be timed."""
    path = folder / "impuls.toml"
    path.write_text(
        f"""data_dir = "{folder}/data"
secret_file = "{folder}/secret"
[guards]
quiet_hours = "none"
[smtp]
port = {smtp_port}
[http]
listen = "none"
[metrics]
listen = "none"
"""
    )
    return path


class Live:
    """`impuls run` from entering to leaving; on leaving it is asked to drain."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.settings: Settings = settings_for(str(config))
        self.ended_well = False

    def __enter__(self) -> Self:
        self._log = (self.config.parent / "impuls.log").open("wb")
        command = [sys.executable, "-c", "from flows.cli import main; main()", "run", "--config", str(self.config)]
        self._process = subprocess.Popen(command, stderr=self._log, env=_environment())
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not (self._told("worker-0").get("ready") and self._told("courier-0")):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._end()
                raise NotReady(f"`impuls run` did not come up; see {self._log.name}")
            time.sleep(0.1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end()

    def use(self, process: str) -> Use:
        """Of `worker-0` or `courier-0`."""
        pid = self._told(process)["pid"]
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        rss, most = (int(status[field].split()[0]) / 1024 for field in ("VmRSS", "VmHWM"))
        return Use((int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK"), rss, most)

    def parked(self) -> int:
        """How many customers rest at a wait, as the worker tells once a second."""
        return sum(self._told("worker-0")["parked"].values())

    def _told(self, process: str) -> dict[str, Any]:
        try:
            told: dict[str, Any] = json.loads((self.settings.data_dir / "run" / f"{process}.json").read_bytes())
        except (OSError, ValueError):
            return {}
        return told

    def _end(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            self.ended_well = self._process.wait(STOP_SECONDS_MAX) == 0
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()


def _environment() -> dict[str, str]:
    """The tree that runs the benchmark is the one that is measured."""
    root = str(Path(__file__).resolve().parent.parent)
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}
