"""The shard clock: the moment before which every source has been read."""

from __future__ import annotations

from operators.clock import Report, ShardClock


def report(
    process: int = 0,
    *,
    busy: int | None = None,
    idle: int | None = None,
    wall: int = 10_000,
    furthest: int = 0,
    complete: bool = True,
    settled: bool = True,
    stalled: bool = False,
) -> Report:
    return Report(process, wall, busy, idle, furthest, complete, settled, stalled)


def test_there_is_no_time_before_every_process_has_told_of_every_partition() -> None:
    clock = ShardClock(2, live=True)
    clock.take(report(0, busy=5_000))
    assert clock.now is None
    clock.take(report(1, busy=6_000, complete=False))
    assert clock.now is None
    clock.take(report(1, busy=6_000))
    assert clock.now == 5_000


def test_a_partition_read_to_its_end_counts_as_the_start_of_the_look_that_found_nothing() -> None:
    clock = ShardClock(1, live=True)
    clock.take(report(busy=None, idle=9_900))
    assert clock.now == 9_900


def test_the_slowest_partition_holds_the_clock() -> None:
    clock = ShardClock(1, live=True)
    clock.take(report(busy=3_000, idle=9_900))
    assert clock.now == 3_000


def test_the_clock_never_runs_backward() -> None:
    clock = ShardClock(1, live=True)
    assert clock.take(report(busy=3_000))
    assert not clock.take(report(busy=2_000))
    assert clock.now == 3_000


def test_on_replay_what_is_at_its_end_counts_as_the_furthest_that_any_had_reached_by_then() -> None:
    clock = ShardClock(1, live=False)
    clock.take(report(busy=None, idle=10_000, wall=10_000, furthest=700))
    assert clock.now == 0, "what was furthest two seconds before is not known yet"
    clock.take(report(busy=None, idle=12_000, wall=12_100, furthest=900))
    assert clock.now == 700
    clock.take(report(busy=None, idle=14_200, wall=14_200, furthest=900))
    assert clock.now == 900


def test_a_clock_that_goes_on_without_a_source_says_so_until_the_source_is_back() -> None:
    clock = ShardClock(2, live=True)
    clock.take(report(0, idle=9_000, stalled=True))
    clock.take(report(1, idle=9_000))
    assert clock.stalled
    clock.take(report(0, idle=9_500))
    assert not clock.stalled


def test_nothing_is_settled_before_every_process_has_read_the_results() -> None:
    clock = ShardClock(2, live=True)
    clock.take(report(0, idle=9_000))
    assert not clock.settled
    clock.take(report(1, idle=9_000, settled=False))
    assert not clock.settled
    clock.take(report(1, idle=9_100))
    assert clock.settled
