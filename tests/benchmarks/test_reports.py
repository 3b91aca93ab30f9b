"""Reports: written and read again, compared with noise in mind, and shown on a page that needs nothing else."""

import random
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest

from benchmarks.histograms import Histogram
from benchmarks.load.paces import Spike
from benchmarks.reports.compare import compare, doubts, holm, lines
from benchmarks.reports.page import page
from benchmarks.reports.report import SCHEMA, Measure, NoReport, Place, read, save
from benchmarks.runs import back_after, shown_number, too_few
from operators.pages.charts import Line, chart, linear
from tests.benchmarks.loads import repetition, report

NAMES = ("p50", "p99", "decided p50", "decided p99", "cpu", "rss")


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = report({"p50": [3.0, 4.0]})
    save(written, tmp_path / "made" / "a.json")
    assert read(tmp_path / "made" / "a.json") == written


@pytest.mark.parametrize(
    ("content", "fact"),
    [
        (b"not json", "no report"),
        (b"{}", "JSON, but no report"),
        (b'{"schema":1,"title":"x"}', "no report"),
        (b'{"schema":%d}' % (SCHEMA + 1), "Read it with a newer one"),
    ],
)
def test_a_file_that_is_no_report_is_named_with_what_would_be(tmp_path: Path, content: bytes, fact: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(NoReport, match=f"a.json: .*{fact}"):
        read(tmp_path / "a.json")


def test_a_goal_is_reached_from_the_right_side() -> None:
    less = Measure(name="n", says="s", unit="ms", values=[3.0, 4.0, 9.0], goal=4)
    assert less.reached
    assert not msgspec.structs.replace(less, goal=3.9).reached
    assert not msgspec.structs.replace(less, better="more", goal=4.1).reached
    assert msgspec.structs.replace(less, goal=None).reached is None


def noise(chance: random.Random, factor: float = 1.0) -> dict[str, list[float]]:
    return {name: [factor * chance.lognormvariate(1, 0.2) for _ in range(5)] for name in NAMES}


def test_noise_compared_with_noise_shows_no_difference() -> None:
    chance = random.Random(1)
    told = [compare(report(noise(chance)), report(noise(chance))) for _ in range(60)]
    shown = sum(any(each.verdict in ("better", "worse") for each in found) for found in told)
    assert shown <= 6  # five in a hundred may
    assert {each.verdict for found in told for each in found} >= {"no difference shown"}
    assert "No difference shown" in "\n".join(lines(report({"p50": [1, 2, 3, 4, 5]}), report({"p50": [1, 2, 3, 4, 6]})))


def test_twice_as_slow_is_worse_and_half_is_better() -> None:
    chance = random.Random(2)
    before, after = report(noise(chance)), report(noise(chance, 3.0))
    assert {each.verdict for each in compare(before, after)} == {"worse"}
    assert {each.verdict for each in compare(after, before)} == {"better"}
    first = compare(before, after)[0]
    assert first.low < first.ratio < first.high
    assert "6 of the judged measures differ by more than noise" in "\n".join(lines(before, after))


def test_too_few_repetitions_tell_nothing() -> None:
    found = compare(report({"p50": [1.0, 1.1, 1.2]}), report({"p50": [9.0, 9.1, 9.2]}))
    assert [each.verdict for each in found] == ["too few repetitions to tell"]


def test_the_same_numbers_are_no_difference() -> None:
    assert compare(report({"p50": [2.0] * 5}), report({"p50": [2.0] * 5}))[0].verdict == "no difference shown"


def test_many_verdicts_are_each_judged_more_strictly() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])


def test_what_else_differs_is_told() -> None:
    told = "\n".join(doubts(report({}, {"rate": "500", "setting store.cache_mib": "64"}), report({}, {"rate": "900"})))
    assert "rate: 500 → 900" in told
    assert "setting store.cache_mib: 64 → as it comes" in told
    mine, other = report({}), report({})
    place = Place(machine="another, load 9.0 before the start", versions="CPython, rocksdict 1", commit="c0ffee")
    told = "\n".join(doubts(mine, msgspec.structs.replace(other, place=place)))
    assert "not the same machine: one, load 1.0 before the start and another" in told
    assert "not the same versions: none of these and rocksdict 1" in told


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_needs_no_network_and_no_scripts_and_is_whole() -> None:
    shown = Page()
    text = page(report({"accepted_p50_ms": [3.0, 4.0, 5.0], "accepted_p99_ms": [8.0, 9.0, 9.5]}))
    shown.feed(text)
    shown.close()
    assert shown.open == []
    assert shown.addresses == []
    assert "script" not in shown.found
    assert shown.found.count("svg") == 2
    assert "steady &lt;at&gt; 500" in text
    assert "Half of the mails that an event led to at once were with the mail server within 4.00 ms" in text


def test_a_percentile_of_too_few_mails_is_told_of() -> None:
    assert not list(too_few([repetition([(0, 1.0)] * 1_000)]))
    assert "100 mails in a repetition are too few for p99.9:" in next(too_few([repetition([(0, 1.0)] * 100)]))
    assert "too few for p99 and p99.9:" in next(too_few([repetition([(0, 1.0)] * 99), repetition([(0, 1.0)] * 999)]))


def test_a_line_that_lies_under_another_is_drawn_wider() -> None:
    under, other, over = (Line(name, [(0, value), (1, value)]) for name, value in (("a", 1), ("b", 2), ("c", 1)))
    shown = chart("t", [under, other, over], linear("s", 0, 1), linear("ms", 0, 2))
    assert shown.count("line under c0") == 1
    assert shown.count("under") == 1


def test_a_histogram_outlives_being_text() -> None:
    values = Histogram(n / 10 for n in range(1, 10_001))
    again = Histogram.of_all([Histogram.read(str(values)), Histogram([5_000.0])])
    assert len(again) == 10_001
    assert again.percentile(0.5) == pytest.approx(500, rel=0.001)
    assert again.greatest == pytest.approx(5_000, rel=0.001)


def test_after_a_spike_it_is_told_how_long_it_was_slow() -> None:
    usual = [(at, 4.0) for at in range(0, 20_000, 10)]
    pace = Spike(begins=0.25, ends=0.5)
    assert back_after(repetition(usual, seconds=20), pace) == 0
    slow = [(at, 500.0 if 6_000 <= at < 12_000 else took) for at, took in usual]
    assert back_after(repetition(slow, seconds=20), pace) == pytest.approx(2.0, abs=0.26)


def test_what_is_shown_over_time_is_the_middle_repetition() -> None:
    assert shown_number([repetition([(0, 9.0)]), repetition([(0, 2.0)]), repetition([(0, 5.0)])]) == 3
