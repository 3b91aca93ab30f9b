"""A worker whose machine's clock is set back notices, however slowly time goes by; one set ahead is no reason."""

from __future__ import annotations

from flows.worker_process import WallClock


class Machine:
    def __init__(self) -> None:
        self.wall, self.running = 1_000_000.0, 5.0

    def live(self, seconds: float) -> None:
        self.wall += seconds
        self.running += seconds


def test_a_clock_set_back_by_an_hour_is_noticed_once() -> None:
    machine = Machine()
    clock = WallClock(lambda: machine.wall, lambda: machine.running)
    machine.live(3_600.0)
    assert clock.set_back_by() == 0.0
    machine.live(1.0)
    machine.wall -= 3_600.0
    assert clock.set_back_by() == 3_600.0
    assert clock.set_back_by() == 0.0


def test_a_clock_set_ahead_and_then_right_again_was_set_back() -> None:
    machine = Machine()
    clock = WallClock(lambda: machine.wall, lambda: machine.running)
    machine.wall += 3_600.0
    assert clock.set_back_by() == 0.0
    machine.wall -= 3_600.0
    assert clock.set_back_by() == 3_600.0
