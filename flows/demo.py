"""`make demo`: a shop's days in under a minute, through the real engine, the embedded log and real SMTP."""

from __future__ import annotations

import argparse
import email
import email.policy
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import msgspec

from config.settings import Settings
from flows import worker_doors as doors
from flows.demo_mail import Inbox
from flows.demo_shop import DAY, HOUR, PERIOD, SEED, START, Happening, Shop
from flows.supervisor_health import read_beat
from flows.worker_process import settings_for
from state import decisions
from state.decisions import Decision
from state.messages import Delivery
from state.recommendations import TOPIC, Recommendation
from state.records import TopicPartition

FOLDER = Path(".local/demo")
VISITORS = 1_200
PACE = 500  # events a second
QUIET_SECONDS = 1.5
READY_SECONDS_MAX, SETTLE_SECONDS_MAX, DRAIN_SECONDS_MAX = 90.0, 60.0, 60.0
LINES_SHOWN = 8
_recommendation = msgspec.json.Decoder(Recommendation).decode


class DemoFailed(Exception):
    """The demo cannot go on; the message says why, and what to do."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m flows.demo", description=__doc__)
    parser.add_argument("--visitors", type=int, default=VISITORS, help=f"how many come by (default {VISITORS:,})")
    parser.add_argument("--folder", type=Path, default=FOLDER, help=f"replaced at each run (default {FOLDER})")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with _alone(options.folder):
            return _demo(options.folder, options.visitors)
    except DemoFailed as error:
        print(f"\n{error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("\nStopped, and everything it had started too.", file=sys.stderr)
    return 1


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Two demos at once would delete each other's data."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoFailed(f"A demo is running in {folder} already. Wait for it, or name another --folder.") from None
        yield


def _demo(folder: Path, visitors: int) -> int:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    inbox = Inbox()
    config = _config(folder, inbox.port)
    settings = settings_for(str(config))
    events = list(Shop(SEED, visitors, START, PERIOD).events())
    doors.make_topics(settings)
    print(f"A shop, {visitors:,} visitors, {PERIOD // DAY} days in {len(events) / PACE:.0f} seconds.")
    print("Starting a worker, a courier, the learner, the HTTP doors and a mail server …", flush=True)
    command = [sys.executable, "-c", "from flows.cli import main; main()", "run", "--config", str(config)]
    with (folder / "impuls.log").open("wb") as log:
        running = subprocess.Popen(command, stderr=log)
    try:
        _wait_ready(settings, running, folder)
        _play(settings, events, inbox)
        _settle(settings)
        accepted, shown = inbox.taken()
    finally:
        running.send_signal(signal.SIGTERM)
        code = running.wait(DRAIN_SECONDS_MAX)
        inbox.close()
    if code or not accepted:
        raise DemoFailed(_said(folder, f"`impuls run` ended with {code} and {accepted} mails were accepted."))
    _report(settings, config, events, accepted, shown)
    return 0


def _said(folder: Path, fact: str) -> str:
    """A failure with the last words of the processes."""
    log = folder / "impuls.log"
    last = log.read_text(errors="replace").splitlines()[-LINES_SHOWN:]
    return "\n".join([f"{fact} The end of {log}:", *(f"  {line[:300]}" for line in last)])


def _config(folder: Path, smtp_port: int) -> Path:
    http, metrics = _free_ports(2)
    path = folder / "impuls.toml"
    path.write_text(
        f"""# The demo: time is what the log has reached, so the hours between a cart and its reminder pass quickly.
data_dir = "{folder}/data"
secret_file = "{folder}/data/secret"
public_url = "http://127.0.0.1:{http}"
clock = "replay"
[guards]
holdout_percent = 20
[smtp]
port = {smtp_port}
[http]
listen = "127.0.0.1:{http}"
[metrics]
listen = "127.0.0.1:{metrics}"
"""
    )
    return path


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        found = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in found:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in found]


def _wait_ready(settings: Settings, running: subprocess.Popen[bytes], folder: Path) -> None:
    """Until the worker knows the time, and the courier and the learner have started."""
    assert settings.metrics.listen is not None
    url = f"http://{settings.metrics.listen}/readyz"
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        if running.poll() is not None:
            raise DemoFailed(_said(folder, "`impuls run` ended at once."))
        try:
            with urllib.request.urlopen(url, timeout=1):
                if all(read_beat(settings.data_dir / "run", name) for name in ("courier-0", "learner")):
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.1)
    raise DemoFailed(_said(folder, f"The worker was not ready in {READY_SECONDS_MAX:.0f} seconds."))


def _play(settings: Settings, events: list[Happening], inbox: Inbox) -> None:
    """Append the events at their pace, whatever the worker does: an open loop."""
    writer = doors.open_writer(settings)
    began, told_at = time.perf_counter(), 0.0
    for number, happening in enumerate(events):
        due = began + number / PACE
        while (now := time.perf_counter()) < due:
            time.sleep(min(0.002, due - now))
        topic = "orders" if happening.event.get("event") == "Order Completed" else "clickstream"
        while not writer.send(topic, happening.customer.encode(), json.dumps(happening.event).encode()):
            time.sleep(0.001)
        if now >= told_at:
            told_at = now + (1 if sys.stdout.isatty() else 5)
            _tell(happening, number, len(events), inbox)
    writer.flush(10)
    writer.close()
    print(flush=True)


def _tell(happening: Happening, number: int, total: int, inbox: Inbox) -> None:
    day, hour = divmod((happening.at - START) // HOUR + 7, 24)
    text = f"day {day + 1}, {hour:02}:00   {number:>6,} of {total:,} events   {inbox.taken()[0]:>5,} mails accepted"
    print(f"\r{text}" if sys.stdout.isatty() else text, end="" if sys.stdout.isatty() else "\n", flush=True)


def _settle(settings: Settings) -> None:
    """Wait until every event is taken in, and every message that was decided has its result."""
    print("Waiting for the last mails …", flush=True)
    deadline, still_since = time.monotonic() + SETTLE_SECONDS_MAX, time.monotonic()
    before: tuple[int, int] | None = None
    with closing(doors.open_reader(settings, "demo")) as reader:
        inputs = doors.find_partitions(reader, doors.input_topics(settings))
        messages, results = (doors.find_partitions(reader, [topic]) for topic in ("messages", "deliveries"))
        ends = {f"{tp.topic}/{tp.partition}": end for tp, end in reader.ends(inputs).items()}
        while time.monotonic() < deadline:
            beat = read_beat(settings.data_dir / "run", "worker-0")
            read = beat.get("watermarks", {})
            behind = any(read.get(name, 0) < end for name, end in ends.items()) or beat.get("outbox", 1)
            now = sum(reader.ends(messages).values()), sum(reader.ends(results).values())
            if behind or now != before or now[1] < now[0]:
                still_since, before = time.monotonic(), now
            elif time.monotonic() - still_since > QUIET_SECONDS:
                return
            time.sleep(0.1)


def _report(settings: Settings, config: Path, events: list[Happening], accepted: int, shown: bytes) -> None:
    made = [decisions.from_json(value) for value in _records(settings, "decisions")]
    told = [msgspec.json.decode(value, type=Delivery) for value in _records(settings, "deliveries")]
    unique = {decision.decision_id: decision for decision in made}.values()
    counts: Counter[tuple[str, str]] = Counter((d.flow, _outcome(d)) for d in unique)
    latencies = sorted(d.took_ms for d in told if d.result == "accepted" and d.took_ms)
    print()
    print(f"  {'events':<44}{len(events):>8,}")
    print(f"  {'customers':<44}{len({happening.customer for happening in events}):>8,}")
    for (flow, outcome), count in sorted(counts.items()):
        print(f"  {'decisions: ' + flow + ', ' + outcome:<44}{count:>8,}")
    print(f"  {'mails accepted by the SMTP server':<44}{accepted:>8,}")
    recommended = [made for made in map(_recommendation, _records(settings, TOPIC)) if made.message_id and made.items]
    print(f"  {'mails that recommend what others went on to':<44}{len(recommended):>8,}")
    if latencies:
        p50, p99 = (latencies[min(len(latencies) - 1, int(len(latencies) * share))] for share in (0.5, 0.99))
        at = f"append → SMTP accepted, {len(latencies):,} due at once, {PACE}/s"
        print(f"  {at:<44}  p50 {p50:.1f} ms, p99 {p99:.1f} ms")
        load, cores = os.getloadavg()[0], os.cpu_count() or 1
        if load > 2 * cores:
            print(f"  (this machine is busy: load {load:.0f} on {cores} cores, so mails waited for their turn)")
    message = email.message_from_bytes(shown, policy=email.policy.default)
    body = message.get_body(("plain",))
    print("\nOne of the mails:\n")
    for name in ("From", "To", "Subject", "Message-ID", "List-Unsubscribe-Post"):
        print(f"  {name}: {message[name]}")
    print(
        "\n" + "\n".join(f"  {line}" for line in (body.get_content() if body is not None else "").strip().splitlines())
    )
    if recommended:
        print(f"\nRecommended to {recommended[-1].customer}, as learnt in these days:\n")
        for each in recommended[-1].items:
            price = f"{each.price} {each.currency}" if each.price else ""
            print(f"  {each.name:<32}{price:>14}   {each.reason}{': ' + each.because if each.because else ''}")
    print("\nWhat it came to, against the fifth who got nothing (nobody here reads mails, so no lift is right):\n")
    sys.stdout.flush()
    _impuls("report", "--config", str(config))
    customer = str(message["To"]).partition("@")[0]
    print(f"""
Where to look next:
  .venv/bin/impuls customer {customer} --config {config}
  .venv/bin/impuls decisions --customer {customer} --config {config}
  .venv/bin/impuls explain {customer} --config {config}
  .venv/bin/impuls report --html {config.parent}/report.html --config {config}
  .venv/bin/impuls flows abandoned_cart
  .venv/bin/impuls precompute --out {config.parent}/recommendations --config {config}
  flows/abandoned_cart.py, tests/flows/test_abandoned_cart.py, README.md""")


def _impuls(*arguments: str) -> None:
    """A command as anybody would give it."""
    subprocess.run([sys.executable, "-c", "from flows.cli import main; main()", *arguments], check=True)


def _outcome(decision: Decision) -> str:
    return f"{decision.outcome} ({decision.reason})" if decision.reason else decision.outcome


def _records(settings: Settings, topic: str) -> list[bytes]:
    reader = doors.open_reader(settings, "demo")
    partitions = [TopicPartition(topic, partition) for partition in reader.partitions(topic)]
    positions, ends = reader.beginnings(partitions), reader.ends(partitions)
    reader.assign(positions)
    found: list[bytes] = []
    while any(positions[tp] < ends[tp] for tp in partitions):
        for fetched in reader.poll(5_000):
            positions[TopicPartition(fetched.topic, fetched.partition)] = fetched.end
            found += [record.value for record in fetched.records if record.value is not None]
    reader.close()
    return found


if __name__ == "__main__":
    sys.exit(main())
