"""`make demo`: a shop's days in under a minute, through the real engine, the embedded log and real SMTP."""

from __future__ import annotations

import email
import email.policy
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import msgspec

from config.settings import Settings
from flows import worker_doors as doors
from flows.demo_mail import Inbox
from flows.demo_shop import DAY, HOUR, Happening, Shop
from flows.worker_process import settings_for
from state import decisions
from state.decisions import Decision
from state.instants import parse_instant
from state.messages import Delivery
from state.records import TopicPartition

FOLDER = Path(".local/demo")
SEED = 7
VISITORS = 2_600
PACE = 500  # events a second
START = parse_instant("2026-03-02T07:00:00Z")
PERIOD = 4 * DAY
QUIET_SECONDS = 3.0
DEADLINE_SECONDS = 100.0


def main() -> int:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    inbox = Inbox()
    config = _config(inbox.port)
    settings = settings_for(str(config))
    events = list(Shop(SEED, VISITORS, START, PERIOD).events())
    doors.make_topics(settings)
    print(
        f"A shop, {VISITORS:,} visitors, {PERIOD // DAY} days in {len(events) / PACE:.0f} seconds. "
        "The worker is starting …"
    )
    log = (FOLDER / "impuls.log").open("wb")
    command = [sys.executable, "-c", "from flows.cli import main; main()", "run", "--config", str(config)]
    running = subprocess.Popen(command, stderr=log)
    try:
        _wait_ready(settings, running)
        _play(settings, events, inbox)
        _settle(inbox)
        accepted, shown = inbox.taken()
    finally:
        running.send_signal(signal.SIGTERM)
        code = running.wait(60)
        inbox.close()
    _report(settings, events, accepted, shown)
    if code:
        print(f"impuls run ended with {code}; see {FOLDER / 'impuls.log'}", file=sys.stderr)
    return code


def _config(smtp_port: int) -> Path:
    http, metrics = _free_port(), _free_port()
    path = FOLDER / "impuls.toml"
    path.write_text(
        f"""# The demo: time is what the log has reached, so the hours between a cart and its reminder pass quickly.
data_dir = "{FOLDER}/data"
secret_file = "{FOLDER}/data/secret"
public_url = "http://127.0.0.1:{http}"
clock = "replay"
[smtp]
port = {smtp_port}
[http]
listen = "127.0.0.1:{http}"
[metrics]
listen = "127.0.0.1:{metrics}"
"""
    )
    return path


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_ready(settings: Settings, running: subprocess.Popen[bytes]) -> None:
    assert settings.metrics.listen is not None
    url = f"http://{settings.metrics.listen.host}:{settings.metrics.listen.port}/readyz"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if running.poll() is not None:
            raise SystemExit(f"impuls run ended at once; see {FOLDER / 'impuls.log'}")
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise SystemExit(f"the worker was not ready in 30 seconds; see {FOLDER / 'impuls.log'}")


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
            told_at = now + 1
            _tell(happening, number, len(events), inbox)
    writer.flush(10)
    writer.close()
    print(flush=True)


def _tell(happening: Happening, number: int, total: int, inbox: Inbox) -> None:
    day, hour = divmod((happening.at - START) // HOUR + 7, 24)
    text = f"day {day + 1}, {hour:02}:00   {number:>6,} of {total:,} events   {inbox.taken()[0]:>5,} mails accepted"
    print(f"\r{text}" if sys.stdout.isatty() else text, end="" if sys.stdout.isatty() else "\n", flush=True)


def _settle(inbox: Inbox) -> None:
    """Wait until no more mails come."""
    last, since = -1, time.monotonic()
    deadline = since + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        count, _ = inbox.taken()
        if count != last:
            last, since = count, time.monotonic()
        elif time.monotonic() - since > QUIET_SECONDS:
            return
        time.sleep(0.1)


def _report(settings: Settings, events: list[Happening], accepted: int, shown: bytes) -> None:
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
    if latencies:
        p50, p99 = (latencies[min(len(latencies) - 1, int(len(latencies) * share))] for share in (0.5, 0.99))
        at = f"append → SMTP accepted, {len(latencies):,} due at once, {PACE}/s"
        print(f"  {at:<44}  p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    message = email.message_from_bytes(shown, policy=email.policy.default)
    body = message.get_body(("plain",))
    print("\nOne of the mails:\n")
    for name in ("From", "To", "Subject", "Message-ID", "List-Unsubscribe-Post"):
        print(f"  {name}: {message[name]}")
    print(
        "\n" + "\n".join(f"  {line}" for line in (body.get_content() if body is not None else "").strip().splitlines())
    )
    customer = str(message["To"]).partition("@")[0]
    config = FOLDER / "impuls.toml"
    print(f"""
Where to look next:
  .venv/bin/impuls customer {customer} --config {config}
  .venv/bin/impuls decisions --customer {customer} --config {config}
  .venv/bin/impuls flows abandoned_cart
  flows/abandoned_cart.py, tests/flows/test_abandoned_cart.py, README.md""")


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
