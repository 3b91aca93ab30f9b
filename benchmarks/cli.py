"""The command line of the benchmarks, `impuls-bench`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from benchmarks.asked import Asked, measure, summary
from benchmarks.checks import check, check_writable
from benchmarks.ending import end_in_order
from benchmarks.live import NotReady
from benchmarks.load.generator import CLICKS, GeneratorFailed
from benchmarks.load.recordings import NoRecording, length_seconds, record
from benchmarks.load.workloads import REPLAY, REPLAY_SAYS, WORKLOADS, NoSuchWorkload, Workload, workload
from benchmarks.machine import described
from benchmarks.reports.page import page
from benchmarks.reports.report import NoReport, Report, read, save
from benchmarks.targets import NotTaken
from config import ConfigError, load
from flows.cli.options import instant
from state.records import LogError
from state.store_errors import StoreError

SECONDS = 20.0
LAST_SECONDS = 0.001  # so that the last event of a recording is in it

app = typer.Typer(
    name="impuls-bench",
    help="Load for Impuls, measured in an open loop: choose a workload, run it, read the report, compare two.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command("list")
def list_() -> None:
    """List the workloads."""
    for each in WORKLOADS:
        print(f"{each.name:<12}{each.says} {each.rate} events a second unless --rate says otherwise.")
    print(f"{REPLAY:<12}{REPLAY_SAYS}")


@app.command()
def run(
    name: Annotated[str, typer.Argument(metavar="WORKLOAD", help="One that `impuls-bench list` shows.")],
    out: Annotated[Path, typer.Option(help="The report (JSON); a page (HTML) of the same name is put beside it.")],
    rate: Annotated[float | None, typer.Option(min=0.1, help="Events a second.")] = None,
    customers: Annotated[int, typer.Option(min=1, help="How many customers do something.")] = 10_000,
    parked: Annotated[bool, typer.Option("--parked", help="Park them all at a wait beforehand.")] = False,
    seconds: Annotated[
        float | None, typer.Option(min=0.5, help="How long each repetition measures: 20, or all that a file holds.")
    ] = None,
    warm_seconds: Annotated[float, typer.Option(min=0.0, help="Load before that, not measured.")] = 5.0,
    repeat: Annotated[int, typer.Option(min=1, help="Repetitions; a comparison needs five.")] = 5,
    workers: Annotated[int, typer.Option(min=1)] = 1,
    couriers: Annotated[int, typer.Option(min=1)] = 1,
    seed: Annotated[int, typer.Option(help="The same seed, the same events.")] = 1,
    target: Annotated[
        Literal["log", "kafka"], typer.Option(help="The embedded log, or a Kafka started for it.")
    ] = "log",
    bootstrap_servers: Annotated[str | None, typer.Option(help="A Kafka of your own instead.")] = None,
    no_start: Annotated[
        bool, typer.Option("--no-start", help="Start no Impuls: measure the one that runs on --bootstrap-servers.")
    ] = False,
    config: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="An impuls.toml to measure.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting: store.cache_mib=64.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="For replay: JSON lines, plain or .gz.")
    ] = None,
    speed: Annotated[float, typer.Option(min=0.001, help="For replay: so many times as fast as it happened.")] = 1.0,
    topic: Annotated[str, typer.Option(help="Where the events go.")] = CLICKS,
    smtp: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="A mail server of your own that takes all.")
    ] = None,
) -> None:
    """Run a workload, and write a report."""
    if name == REPLAY and file is None:
        raise typer.BadParameter("replay plays one: name it. `impuls-bench record` writes one.", param_hint="--file")
    if name != REPLAY and file is not None:
        raise typer.BadParameter(f"{name} plays none: leave it out, or run {REPLAY}.", param_hint="--file")
    played = None if file is None else max(0.5, length_seconds(file) / speed - warm_seconds + LAST_SECONDS)
    asked = Asked(
        workload=workload(name) if file is None else Workload(REPLAY, REPLAY_SAYS),
        rate=rate,
        customers=customers,
        parked=parked,
        seconds=min(filter(None, (seconds, played)), default=SECONDS),
        warm_seconds=warm_seconds,
        repeat=repeat,
        workers=workers,
        couriers=couriers,
        seed=seed,
        target=target,
        servers=bootstrap_servers,
        start=not no_start,
        config=config,
        altered=_altered(set_ or []),
        mail=_mail(smtp),
        file=file,
        speed=speed,
        topic=topic,
    )
    check(asked, out)
    print("\n".join(described()), flush=True)
    try:
        found = measure(asked, lambda text: print(text, flush=True))
    except (KeyboardInterrupt, SystemExit) as stopped:
        print("Stopped: what was started has ended, and no report was written.", file=sys.stderr)
        raise typer.Exit(130) if isinstance(stopped, KeyboardInterrupt) else stopped from None
    print("\n".join(summary(found)))
    _write(found, out)


@app.command("record")
def record_(
    topic: Annotated[str, typer.Argument(help="A topic of events.")],
    to: Annotated[Path, typer.Option(help="The file for `run replay --file`: .jsonl or .jsonl.gz.")],
    config: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Whose log it is.")] = None,
    since: Annotated[str | None, typer.Option(help="From this time on: 2026-11-23T10:00:00Z.")] = None,
) -> None:
    """Record what a topic holds for later replays: nobody's name, address or id stays in it."""
    check_writable("--to", to)
    since_ms = None if since is None else instant(since)
    count = record(load(config, os.environ), topic, to, since_ms)
    print(f"{to}: {count:,} events")


@app.command("compare")
def compare_(
    a: Annotated[Path, typer.Argument(help="The report before.", exists=True, dir_okay=False)],
    b: Annotated[Path, typer.Argument(help="The report after.", exists=True, dir_okay=False)],
    fail_on_worse: Annotated[bool, typer.Option("--fail-on-worse", help="Exit 1 when a measure got worse.")] = False,
) -> None:
    """Compare two reports, and say what is more than noise."""
    from benchmarks.reports.compare import compare, lines  # its statistics take a second to import

    before, after = read(a), read(b)
    print("\n".join(lines(before, after)))
    if fail_on_worse and any(each.verdict == "worse" for each in compare(before, after)):
        raise typer.Exit(1)


@app.command()
def html(
    file: Annotated[Path, typer.Argument(help="A report.", exists=True, dir_okay=False)],
    out: Annotated[Path | None, typer.Option(help="The page; beside the report when left out.")] = None,
) -> None:
    """Make the page of a report."""
    to = out or file.with_suffix(".html")
    if to == file:
        raise typer.BadParameter(f"{file} is the page's own name: name the page.", param_hint="--out")
    to.write_text(page(read(file)), encoding="utf-8")
    print(to)


def _write(found: Report, out: Path) -> None:
    save(found, out)
    shown = out.with_suffix(".html")
    shown.write_text(page(found), encoding="utf-8")
    print(f"{out}\n{shown}")


def _altered(texts: list[str]) -> dict[str, str]:
    found = {}
    for text in texts:
        name, is_there, value = text.partition("=")
        if not is_there or not name:
            raise typer.BadParameter(f"{text} has no =. Something like store.cache_mib=64 will do.", param_hint="--set")
        found[name.strip()] = value.strip()
    return found


def _mail(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise typer.BadParameter(
            f"{text} is no host and port. Something like 127.0.0.1:2525 will do.", param_hint="--smtp"
        )
    return host, int(port)


def main() -> None:
    """Run a command and end the process."""
    end_in_order()
    try:
        app(standalone_mode=True)
    except (ConfigError, NoSuchWorkload, NoReport, NoRecording, NotTaken) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except (NotReady, GeneratorFailed, LogError, StoreError, OSError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(1)
