"""The REST door under load: so many requests a second for customers drawn at random, while events are learnt from.

An open loop: a request is sent at the moment it is due, and its latency counts from then.  Every customer is asked for
about once, so that nothing of her is in a cache.  Ends with one line `RESULT {json}`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import random
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from multiprocessing.synchronize import Event

from benchmarks import machine
from benchmarks.histograms import Histogram
from benchmarks.live import Live, Setup, data_folder
from benchmarks.sink import Sink, free_port
from config.settings import Settings
from flows import worker_doors as doors

ITEMS = 5_000
CONNECTIONS = 32
CLICKS_BEFORE = 3  # of each customer on average, before anything is asked
WARM_SECONDS = 10.0
TICK_SECONDS = 0.005  # between two times that the generator sends what is due
LATE_SECONDS = 0.05
PROBES = 20
PROBE_SECONDS_MAX = 5.0
"""How long a click may take to show before the probe counts as lost."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recommender.serving", description=__doc__)
    parser.add_argument("--requests", type=int, default=500, help="requests a second")
    parser.add_argument("--events", type=int, default=2_000, help="events a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--customers", type=int, default=20_000)
    asked = parser.parse_args(arguments)
    print("\n".join(machine.described()))
    result = run(asked.requests, asked.events, asked.seconds, asked.customers)
    print("RESULT " + json.dumps(result))
    return 0


def run(requests: int, events: int, seconds: float, customers: int) -> dict[str, float]:
    with data_folder() as folder, Sink() as sink:
        port = free_port()
        altered = {"http.listen": f"127.0.0.1:{port}", "recommender.enabled": "true"}
        with Live(Setup(folder, sink.port, altered)) as live:
            context = multiprocessing.get_context("spawn")
            written, go_on, stop = context.Event(), context.Event(), context.Event()
            told = (live.settings, events, customers, written, go_on, stop)
            feed = context.Process(target=_feed, args=told, daemon=True)
            feed.start()
            written.wait()
            live.settle()
            live.wait(lambda: live.told("learner").get("learnt", 0) >= CLICKS_BEFORE * customers, 120, "done learning")
            go_on.set()
            half = customers // 2  # are asked for beforehand, the others are then not in any cache
            asyncio.run(_ask(port, requests, WARM_SECONDS, range(half)))
            before = live.told("learner").get("learnt", 0)
            began = time.perf_counter()
            latencies, late = asyncio.run(_ask(port, requests, seconds, range(half, customers)))
            took = time.perf_counter() - began
            taught = (live.told("learner").get("learnt", 0) - before) / took
            shown = asyncio.run(_probe(port, live.settings))
            stop.set()
            feed.join()
    p50, p99, p999 = latencies.percentiles([0.5, 0.99, 0.999])
    print(f"\n{requests} requests/s beside {events} events/s, {customers:,} customers, {ITEMS:,} products:")
    print(f"  p50 {p50:.1f} ms, p99 {p99:.1f} ms, p99.9 {p999:.1f} ms; {late} of {len(latencies)} sent late")
    print(f"  learnt from {taught:,.0f} events a second")
    print(f"  a click showed after {shown.percentile(0.5):.0f} ms (p50), {shown.greatest:.0f} ms (most)")
    return {
        "requests_per_second": requests,
        "events_per_second": events,
        "rest_p50_ms": p50,
        "rest_p99_ms": p99,
        "rest_p999_ms": p999,
        "sent_late": late,
        "learnt_per_second": round(taught),
        "click_to_answer_p50_ms": shown.percentile(0.5),
        "click_to_answer_max_ms": shown.greatest,
    }


def _clicks(customers: int, seed: int) -> Iterator[tuple[str, str]]:
    """Endless visits: from a product to one of its few neighbours, or anywhere."""
    draw = random.Random(seed)
    at: dict[int, int] = {}
    while True:
        who = draw.randrange(customers)
        item = at.get(who)
        near = item is not None and draw.random() < 0.7
        item = (item + draw.randrange(1, 8)) % ITEMS if near and item is not None else int(ITEMS * draw.random() ** 2)
        at[who] = item
        yield f"v{who}", f"p{item}"


def _event(number: int, who: str, item: str) -> bytes:
    return (
        f'{{"type":"track","event":"Product Viewed","messageId":"s{number}","userId":"{who}","timestamp":'
        f'"{time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}","properties":{{"product_id":"{item}",'
        f'"name":"Product {item}","price":19.99,"url":"https://shop.example/{item}"}}}}'
    ).encode()


def _feed(settings: Settings, rate: int, customers: int, written: Event, go_on: Event, stop: Event) -> None:
    """Some clicks of each customer as fast as may be, then at the rate until told to stop."""
    writer = doors.open_writer(settings)
    clicks = enumerate(_clicks(customers, seed=1))

    def send(most: int) -> None:
        for number, (who, item) in islice(clicks, most):
            while not writer.send("clickstream", who.encode(), _event(number, who, item)):
                time.sleep(0.001)

    send(CLICKS_BEFORE * customers)
    writer.flush(60)
    written.set()
    go_on.wait()
    began, sent = time.perf_counter(), 0
    while not stop.is_set():
        due = int((time.perf_counter() - began) * rate)
        send(due - sent)
        sent = due
        time.sleep(TICK_SECONDS)
    writer.close()


async def _ask(port: int, rate: int, seconds: float, customers: range) -> tuple[Histogram, int]:
    """Latencies from when each request was due, and how many were sent late because all connections were busy."""
    free: asyncio.Queue[_Connection] = asyncio.Queue()
    for _ in range(CONNECTIONS):
        free.put_nowait(await _Connection.open(port))
    draw = random.Random(2)
    latencies, late = Histogram(), 0
    under_way: set[asyncio.Task[None]] = set()

    async def one(due: float, path: str) -> None:
        nonlocal late
        connection = await free.get()
        late += time.perf_counter() - due > LATE_SECONDS
        await connection.get(path)
        free.put_nowait(connection)
        latencies.add((time.perf_counter() - due) * 1000)

    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        if (left := due - time.perf_counter()) > 0:
            await asyncio.sleep(left)
        task = asyncio.create_task(one(due, f"/v1/recommendations/v{draw.choice(customers)}?limit=12"))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    return latencies, late


async def _probe(port: int, settings: Settings) -> Histogram:
    """From a visitor's click to the first answer that is another."""
    connection, shown = await _Connection.open(port), Histogram()
    writer = doors.open_writer(settings)
    for number in range(PROBES):
        path = f"/v1/recommendations/v{number}?limit=12"
        before = (await connection.get(path))["items"]
        began = time.perf_counter()
        assert writer.send("clickstream", b"v%d" % number, _event(-1 - number, f"v{number}", f"p{2500 + 17 * number}"))
        while time.perf_counter() - began < PROBE_SECONDS_MAX:
            if (await connection.get(path))["items"] != before:
                break
            await asyncio.sleep(0.002)
        shown.add((time.perf_counter() - began) * 1000)
    writer.close()
    return shown


class _Connection:
    """As much of HTTP/1.1 as a load generator needs, since every microsecond of it is taken from who is measured."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> _Connection:
        while True:
            with suppress(OSError):
                return cls(*await asyncio.open_connection("127.0.0.1", port))
            await asyncio.sleep(0.05)

    async def get(self, path: str) -> dict[str, object]:
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
        head = await self._reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), head
        length = int(next(each for each in head.lower().split(b"\r\n") if each.startswith(b"content-length:"))[15:])
        found: dict[str, object] = json.loads(await self._reader.readexactly(length))
        return found


if __name__ == "__main__":
    sys.exit(main())
