"""`impuls run`: starts workers, couriers, the learner and the HTTP doors, restarts what dies, and drains at SIGTERM.

Owns the data folder by a lock.  Every process of its own is reaped before one is started again.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from config.settings import Settings
from connectors import log as embedded
from flows import huge_pages
from flows import worker_doors as doors
from flows.catalog import load
from flows.published_models import FOLDER as MODELS
from flows.supervisor_health import AddressTaken, Health
from flows.supervisor_retention import unread
from flows.supervisor_start import Plan, await_topics, plan
from flows.worker_place import Place, free_addresses, lowest_told, place_file
from flows.worker_process import fact_of, settings_for
from operators.program import choices
from state.files import write_whole
from state.identity import Ownership
from state.records import LogError, Reader, TopicPartition
from state.store_errors import StoreBusy, StoreFull

log = logging.getLogger("impuls.supervisor")

Part = Literal["worker", "courier", "learner", "serve"]
PARTS: tuple[Part, ...] = ("worker", "courier", "learner", "serve")
DRAIN_SECONDS = 30.0
BACKOFF_SECONDS_MIN, BACKOFF_SECONDS_MAX = 0.2, 10.0
STEADY_SECONDS = 30.0
DISCOVER_SECONDS = 2.0  # workers stop their clocks meanwhile
RETAIN_SECONDS = 60.0


@dataclass
class Group:
    """Processes that live and die together: all workers, or one courier."""

    name: str
    commands: list[list[str]]
    running: list[subprocess.Popen[bytes]] = field(default_factory=list)
    started_at: float = 0.0
    start_at: float = 0.0
    backoff: float = BACKOFF_SECONDS_MIN
    restarts: int = 0

    @property
    def dead(self) -> bool:
        return any(process.poll() is not None for process in self.running)

    def start(self) -> None:
        environment = huge_pages.environment(os.environ)
        self.running = [subprocess.Popen(command, env=environment) for command in self.commands]
        self.started_at = time.monotonic()

    def end(self, *, seconds: float) -> bool:
        """Ask all to drain; kill and reap those that do not in time.  Whether all ended well."""
        for process in self.running:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + seconds
        well = True
        for process in self.running:
            try:
                code = process.wait(max(0.0, deadline - time.monotonic()))
                well &= code in (0, -signal.SIGTERM)  # the latter had not begun to work when it was told
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                well = False
        self.running = []
        return well


class Supervisor:
    """`parts` are what to run; counts hold for workers and couriers."""

    def __init__(
        self,
        config: Path | None,
        *,
        workers: int,
        couriers: int,
        parts: Sequence[Part] = PARTS,
    ) -> None:
        self._config = str(config) if config else None
        self._settings: Settings = settings_for(self._config)
        self._workers, self._couriers, self._parts = workers, couriers, parts
        self._catalog = load(self._settings.flows, self._settings.data_dir / MODELS)
        self._groups: list[Group] = []
        self._stopping = False
        self._reader: Reader | None = None
        self._discovered: dict[TopicPartition, int] | None = None

    def run(self) -> int:
        """Run until SIGTERM or SIGINT; 0 when everything drained."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        owner = Ownership(self._settings.data_dir) if "worker" in self._parts else None
        workers = self._workers if "worker" in self._parts else 0
        health = Health(self._settings, workers, lambda: not self._unwell())
        well = False
        try:
            self._forget_beats()
            self._answer(health)
            self._start()
            self._watch()
        finally:
            well = self._drain()
            health.stop()
            if self._reader is not None:
                self._reader.close()
            if owner is not None:
                owner.release()
        log.info("drained" if well else "ended by force")
        return 0 if well else 1

    def _forget_beats(self) -> None:
        """What processes that are gone said of themselves would be taken for the new ones'."""
        run_dir = self._settings.data_dir / "run"
        run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        for stale in run_dir.glob("*.*"):
            if stale.name.split("-")[0].split(".")[0] in self._parts:
                stale.unlink()

    def _answer(self, health: Health) -> None:
        """Before anything is started.  Beside a worker's supervisor, which tells of all, others do without."""
        try:
            health.start()
        except AddressTaken as error:
            if "worker" in self._parts:
                raise
            log.warning("metrics not told here", extra={"fact": str(error)})

    def _start(self) -> None:
        settings = self._settings
        await_topics(settings)
        if "worker" in self._parts:
            self._reader = doors.open_reader(settings, settings.kafka.group)
            self._groups.append(Group("worker", [self._worker(number) for number in range(self._workers)]))
            self._start_workers(self._groups[0])
            threading.Thread(target=self._discover_always, name="discover", daemon=True).start()
        if "courier" in self._parts:
            self._groups += [self._courier(number) for number in range(self._couriers)]
        if "learner" in self._parts and settings.recommender.enabled:
            self._groups.append(Group("learner", [self._command("learner", {})]))
        if "learner" in self._parts and settings.choices.learn_every and choices(self._catalog.program.all):
            self._groups.append(Group("choices", [self._command("learner_choices", {})]))
        if "serve" in self._parts and settings.http.listen:
            self._groups.append(Group("serve", [self._command("serve", {})]))
        for group in self._groups:
            if not group.running:
                group.start()
        log.info("started", extra={"workers": self._workers, "couriers": self._couriers, "parts": list(self._parts)})

    # -- processes

    def _command(self, part: Part | Literal["learner_choices"], told: dict[str, object]) -> list[str]:
        told = {"config": self._config, "supervisor": os.getpid(), **told}
        # What lies in the working directory hides nothing of ours; where it is ours, it is found as we were.
        search = [] if Path(__file__).parents[1].samefile(Path.cwd()) else ["-P"]
        return [sys.executable, *search, "-m", f"flows.{part}", json.dumps(told)]

    def _courier(self, number: int) -> Group:
        return Group(f"courier-{number}", [self._command("courier", {"courier": number, "couriers": self._couriers})])

    def _worker(self, number: int) -> list[str]:
        return self._command("worker", {"place": str(place_file(self._settings.data_dir, number))})

    def _start_workers(self, group: Group) -> None:
        """They begin at once, and load what they need while their places are looked for."""
        assert self._reader is not None
        files = [place_file(self._settings.data_dir, process) for process in range(self._workers)]
        for file in files:
            file.unlink(missing_ok=True)
        group.start()
        found: Plan = plan(self._settings, self._catalog, self._reader)
        addresses = free_addresses(self._workers)
        for process, file in enumerate(files):
            place = Place(
                process=process,
                processes=self._workers,
                addresses=addresses,
                starts=[(tp.topic, tp.partition, *at) for tp, at in found.starts.items()],
                origins=[(tp.topic, tp.partition, at) for tp, at in found.origins.items()],
            )
            write_whole(file, msgspec.json.encode(place).decode())
        self._partitions = set(found.starts)

    def _watch(self) -> None:
        retain_at = time.monotonic() + 1
        while not self._stopping:
            time.sleep(0.05)
            now = time.monotonic()
            for group in self._groups:
                self._mind(group, now)
            if self._discovered is not None:
                self._take_up()
            if now >= retain_at:
                retain_at = now + RETAIN_SECONDS
                self._retain()

    def _retain(self) -> None:
        if self._settings.source != "log" or "worker" not in self._parts:
            return
        try:
            kept = unread(self._settings, self._workers)
            embedded.apply_retention(self._settings.data_dir / "log", time.time(), kept)
        except (LogError, OSError) as error:  # a full disk does not even take the file that would be begun; later, then
            log.warning("retention put off", extra={"fact": str(error)})

    def _mind(self, group: Group, now: float) -> None:
        """Restart what died, all of it together, not too fast."""
        if group.running and group.dead:
            codes = [process.poll() for process in group.running]
            log.warning("died", extra={"group": group.name, "codes": codes})
            # A cluster that lost one process ends by itself; drained it would write what it has read.
            group.end(seconds=2)
            if now - group.started_at > STEADY_SECONDS:
                group.backoff = BACKOFF_SECONDS_MIN
            group.start_at = now + group.backoff
            group.backoff = min(group.backoff * 2, BACKOFF_SECONDS_MAX)
            group.restarts += 1
        if not group.running and now >= group.start_at and not self._stopping:
            try:
                if group.name == "worker":
                    self._start_workers(group)
                else:
                    group.start()
            except (LogError, StoreBusy, StoreFull, OSError) as error:
                # What passes, or what somebody mends while we wait; the first start would have said it and ended.
                log.error("cannot start", extra={"group": group.name, "fact": str(error)})
                group.end(seconds=2)
                group.start_at = now + group.backoff
                group.backoff = min(group.backoff * 2, BACKOFF_SECONDS_MAX)
                return
            log.info("restarted", extra={"group": group.name, "restarts": group.restarts})

    def _unwell(self) -> bool:
        return any(not group.running or group.dead for group in self._groups)

    # -- partitions that are added

    def _discover_always(self) -> None:
        """Look for new partitions, in a thread of its own: the log may take its time to answer."""
        assert self._reader is not None
        topics = (*doors.input_topics(self._settings), *doors.RESULTS)
        while not self._stopping:
            time.sleep(DISCOVER_SECONDS)
            if self._discovered is not None:
                continue
            try:
                partitions = set(doors.find_partitions(self._reader, topics))
                if partitions - self._partitions:
                    ends = self._reader.ends([tp for tp in self._partitions if tp in partitions])
                    log.info("partitions added", extra={"count": len(partitions - self._partitions)})
                    self._discovered = ends
            except Exception as error:  # whatever it is, this thread is to go on looking
                log.warning("partitions unknown", extra={"fact": fact_of(error)})

    def _take_up(self) -> None:
        """New partitions are read once the old ones are read to where they ended: a key that moved keeps its order."""
        told = lowest_told(self._settings.data_dir, self._workers)
        group = self._groups[0]
        if not group.running or not told:
            return
        assert self._discovered is not None
        if all(told.get(tp, 0) >= end for tp, end in self._discovered.items()):
            group.end(seconds=DRAIN_SECONDS)  # it is started again, with all partitions, as soon as it is missed
            group.start_at = time.monotonic()
            self._discovered = None

    # -- the end

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _drain(self) -> bool:
        """Workers first, so that couriers may still take what they decided."""
        well = True
        for group in self._groups:
            well &= group.end(seconds=DRAIN_SECONDS)
        return well
