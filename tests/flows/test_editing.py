"""A deploy while people are inside: what goes on, what is refused before it harms, and with which words."""

from __future__ import annotations

import json
import tomllib
import urllib.request
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from flows.supervisor_edits import FILE, ParkedNowhere, check
from operators.counts import parked_in
from operators.flow import Flow, Step, Template, days, hours, on, send, split, wait, when
from operators.program import Program
from state.carts import CartEvent
from state.customer import Customer
from state.events import Event, ProductEvent, ProductViewed
from state.instants import parse_instant
from tests.flows.commands import ROOT, impuls
from tests.flows.deployments import Deployment, running, until
from tests.flows.test_cli import NO_LIMITS, identify, track
from tests.operators import shards
from tests.operators.shards import DAY, HOUR, START, Desk, agrees, desk

PEOPLE = 10_000
BATCH = 500


def nothing(_: Event, __: Customer) -> Mapping[str, Any]:
    return {}


def message(name: str) -> Template[Event]:
    return Template(name, nothing, within=days(3))


def costs_fifty(view: ProductViewed, _: Customer) -> bool:
    return view.price is not None and view.price.minor >= 5_000


def costs_ninety(view: ProductViewed, _: Customer) -> bool:
    return view.price is not None and view.price.minor >= 9_000


FIRST, EXTRA, DEAR, CHEAP, LAST = map(message, ("first", "extra", "dear", "cheap", "last"))


def care(*steps: Step[Any], **more: Any) -> Flow[Any]:
    return Flow("care", enter=on(ProductViewed), steps=list(steps), **more)


BEFORE = care(
    wait("an_hour", hours(1)),
    send(FIRST),
    wait("a_day", days(1)),
    split(when(costs_fifty, send(DEAR)), otherwise=[send(CHEAP)]),
    wait("the_end", days(1)),
    send(LAST),
)
EDITED: Sequence[Step[Any]] = (
    wait("an_hour", hours(1)),
    send(FIRST),
    send(EXTRA),  # inserted
    wait("the_next_day", days(1)),  # renamed
    split(when(costs_ninety, send(DEAR)), otherwise=[send(CHEAP)]),  # changed
    wait("the_end", days(1)),
    send(LAST),
)
AFTER = care(*EDITED, renamed={"a_day": "the_next_day"})


def deploy(folder: Path, shop: Desk, flow: Flow[Any]) -> None:
    """What a start looks at before a worker is started."""
    check(Program([flow]), parked_in(shop.shard.store), folder)


def visits(shop: Desk, numbers: range, at: int) -> None:
    shop.wall.ms = at
    for first in range(numbers.start, numbers.stop, BATCH):
        names = [(n, f"c{n}") for n in range(first, min(first + BATCH, numbers.stop))]
        shop.events(
            *(event for _, name in names for event in (shards.identify(name, at), agrees(name, at))),
            *(shards.track(name, at, "Product Viewed", product_id="p1", price=n % 100) for n, name in names),
        )


def expected(n: int, came: int, deployed: int) -> list[tuple[str, int]]:
    """Told another way: each step by the flow as it stood when its wait ended."""
    price = n % 100
    steps = [
        (HOUR, ["first"], ["first", "extra"]),
        (HOUR + DAY, ["dear" if price >= 50 else "cheap"], ["dear" if price >= 90 else "cheap"]),
        (HOUR + 2 * DAY, ["last"], ["last"]),
    ]
    return [(name, came + after) for after, then, now in steps for name in (now if came + after > deployed else then)]


def test_ten_thousand_people_inside_arrive_where_they_should_none_lost_none_twice(tmp_path: Path) -> None:
    """A third rests at each of the first two waits when the flow is edited, a third comes afterwards."""
    third = PEOPLE // 3
    crowds = {
        range(third): START,
        range(third, 2 * third): START + 12 * HOUR,
        range(2 * third, PEOPLE): START + 13 * HOUR,
    }
    deployed = START + 12 * HOUR + 30 * 60_000
    with desk(tmp_path / "data", BEFORE) as shop:
        deploy(tmp_path, shop, BEFORE)
        for numbers, came in list(crowds.items())[:2]:
            visits(shop, numbers, came)
            shop.clock_at(deployed)
            while shop.shard.behind:
                shop.shard.tick()
        assert parked_in(shop.shard.store) == {("care", "a_day"): third, ("care", "an_hour"): third}

        with pytest.raises(ParkedNowhere, match=f'{third} at wait "a_day" of flow "care", which has no such wait'):
            deploy(tmp_path, shop, care(*EDITED))
    with desk(tmp_path / "data", AFTER) as shop:
        deploy(tmp_path, shop, AFTER)
        visits(shop, range(2 * third, PEOPLE), START + 13 * HOUR)
        for hour in range(13, 80, 6):
            shop.wall.ms = START + hour * HOUR
            shop.clock_at(shop.wall.ms)
            while shop.shard.behind:
                shop.shard.tick()
        assert parked_in(shop.shard.store) == {}
        for numbers, came in crowds.items():
            for n in numbers:
                told = [(each.message, parse_instant(each.at)) for each in shop.decided(f"c{n}")]
                assert sorted(told) == sorted(expected(n, came, deployed)), n


PARKED = {("care", "an_hour"): 3, ("care", "a_day"): 4}


@pytest.mark.parametrize(
    ("edited", "fault"),
    [
        (
            care(*EDITED),
            '4 at wait "a_day" of flow "care", which has no such wait: write renamed={"a_day": "…"} with one of '
            "an_hour, the_end, the_next_day",
        ),
        (
            Flow("other", on(ProductViewed), [send(FIRST)]),
            '3 at wait "an_hour" of flow "care", which is gone: keep it in FLOWS with closed=True until it is empty',
        ),
        (
            care(*BEFORE.steps, per=ProductEvent),
            '7 in flow "care", whose passages were told apart by Event and now are by ProductEvent: give the changed '
            "flow another name, and of this one keep it in FLOWS with closed=True until it is empty",
        ),
        (
            Flow("care", on(CartEvent), BEFORE.steps),
            '7 in flow "care", some of whom ProductViewed brought, which steps written for CartEvent cannot read: give '
            "the changed flow another name, and of this one keep it in FLOWS with closed=True until it is empty",
        ),
    ],
)
def test_what_would_leave_people_behind_is_refused_with_how_many_and_the_way_out(
    tmp_path: Path, edited: Flow[Any], fault: str
) -> None:
    check(Program([BEFORE]), {}, tmp_path)
    with pytest.raises(ParkedNowhere) as caught:
        check(Program([edited]), PARKED, tmp_path)
    assert fault in [line.strip() for line in str(caught.value).splitlines()]
    check(Program([edited]), {}, tmp_path)  # once all are through


@pytest.mark.parametrize(
    "edited",
    [
        care(send(EXTRA), *BEFORE.steps[:3], wait("more", hours(1)), *BEFORE.steps[3:]),
        care(wait("a_day", hours(2)), split(when(costs_ninety, send(DEAR))), wait("an_hour", days(3)), send(LAST)),
        care(*BEFORE.steps, closed=True, priority=3, leave=[on(ProductViewed)]),
        Flow("care", on(ProductEvent), BEFORE.steps),  # whatever steps read of any product, they read of a viewed one
    ],
)
def test_what_may_be_edited_freely_is(tmp_path: Path, edited: Flow[Any]) -> None:
    check(Program([BEFORE]), {}, tmp_path)
    check(Program([edited]), PARKED, tmp_path)


def test_by_which_events_people_came_is_remembered_until_the_flow_is_empty(tmp_path: Path) -> None:
    wider, back = Flow("care", on(ProductEvent), BEFORE.steps), BEFORE
    check(Program([wider]), {}, tmp_path)
    check(Program([wider]), PARKED, tmp_path)
    with pytest.raises(ParkedNowhere, match="some of whom ProductEvent brought"):
        check(Program([back]), PARKED, tmp_path)
    check(Program([wider]), {}, tmp_path)
    check(Program([back]), {}, tmp_path)
    assert json.loads((tmp_path / FILE).read_text()) == {"care": {"per": "Event", "enter": ["ProductViewed"]}}


def test_a_damaged_note_of_who_is_inside_is_named_and_not_overlooked(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"care": 7}')
    with pytest.raises(ParkedNowhere, match=r"flows\.json: .*backup"):
        check(Program([BEFORE]), {}, tmp_path)


# -- as people deploy

SHOP = """
from collections.abc import Mapping
from typing import Any

from operators.flow import Flow, Template, days, hours, on, send, wait
from state.customer import Customer
from state.events import Event, ProductViewed


def nothing(_: Event, __: Customer) -> Mapping[str, Any]:
    return {{}}


first, second = Template("first", nothing), Template("second", nothing)
FLOWS = [Flow("care", enter=on(ProductViewed), steps={steps})]
"""
THEN = '[wait("an_hour", hours(1)), send(first), wait("a_day", days(1)), send(second)]'
NOW = THEN.replace("a_day", "the_next_day")


def written(folder: Path, steps: str) -> None:
    (folder / "shop_flows.py").write_text(SHOP.format(steps=steps))
    for name in ("first", "second"):
        (folder / "templates" / name).mkdir(parents=True, exist_ok=True)
        (folder / "templates" / name / "subject.txt").write_text("Hello")
        (folder / "templates" / name / "body.txt").write_text("Hello {{ unsubscribe_url }}")


TRIED = """
from collections.abc import Mapping
from typing import Any

from operators.flow import Flow, Template, arm, experiment, hours, on, send, shadow, wait
from state.customer import Customer
from state.events import Event, ProductViewed


def nothing(_: Event, __: Customer) -> Mapping[str, Any]:
    return {}


first, second = Template("first", nothing), Template("second", nothing)
words = experiment("words", arm("few", 50, send(first)), arm("none", 50))
FLOWS = [
    Flow("care", enter=on(ProductViewed), steps=[wait("an_hour", hours(1)), words]),
    shadow(Flow("care", enter=on(ProductViewed), steps=[wait("an_hour", hours(1)), send(second)])),
]
"""


def measured(shop: Deployment) -> str:
    address = tomllib.loads(shop.config.read_text())["metrics"]["listen"]
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        return str(answer.read().decode())


def test_status_and_metrics_tell_of_experiments_and_of_what_is_on_trial(tmp_path: Path) -> None:
    written(tmp_path, THEN)
    (tmp_path / "shop_flows.py").write_text(TRIED)
    settings = f'flows = "shop_flows"\nclock = "replay"\n[send]\nmode = "mute"\n{NO_LIMITS}'
    came, last = "2026-03-02T12:00:00.000Z", "2026-03-02T14:00:00.000Z"
    python = {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
    with running(tmp_path, "--only", "worker", settings=settings, **python) as shop:
        people = [track(f"c{n}", came, "Product Viewed", product_id="p1") for n in range(40)]
        shop.import_events(*people, track("clock", last, "Poem Read"))
        assert until(lambda: parked_at(shop, last) == {}), shop.log()
        told = shop.status()
        few = float(told["experiments"]["words"]["customers"]["few"])
        for line in (
            f'impuls_experiment_customers{{arm="few",experiment="words"}} {few}',
            'impuls_sample_ratio_p_value{experiment="words"} ',
            'impuls_shadow_decisions_total{flow="care@shadow",outcome="skip"',
        ):
            assert until(lambda line=line: line in measured(shop)), line  # type: ignore[misc]
        assert shop.stop() == 0
        [afterwards] = impuls("status", "--json", "--config", shop.config, path=tmp_path).lines()
        assert all(told[name] == afterwards[name] for name in ("experiments", "trials"))
    words, care = told["experiments"]["words"], told["trials"]["care"]
    assert sum(words["customers"].values()) == 40
    assert (words["shares"], words["mismatch"]) == ({"few": 50, "none": 50}, False)
    assert (care["trial"], care["present"]["entered"], care["shadow"]["entered"]) == ("shadow", 40, 40)
    assert care["shadow"]["decisions"] == {"second": {"skip: no_address": 40}}
    assert care["present"]["decisions"] == {"first": {"skip: no_address": words["customers"]["few"]}}


def parked_at(shop: Deployment, clock: str) -> dict[str, int] | None:
    """Who rests where once the log has reached this time."""
    told: dict[str, Any] = json.loads((shop.folder / "data" / "run" / "worker-0.json").read_text())
    if told["shards"] < 8 or (told["clock"] or 0) < parse_instant(clock):
        return None
    return {place: count for place, count in told["parked"].items() if count}


def test_a_deploy_that_forgets_renamed_ends_at_once_and_the_next_one_takes_everybody_on(tmp_path: Path) -> None:
    settings = f'flows = "shop_flows"\nclock = "replay"\n[send]\nmode = "mute"\n{NO_LIMITS}'
    python = {"PYTHONPATH": f"{ROOT}:{tmp_path}"}
    came, first, last = "2026-03-02T12:00:00.000Z", "2026-03-02T14:00:00.000Z", "2026-03-04T14:00:00.000Z"
    written(tmp_path, THEN)
    with running(tmp_path, "--only", "worker", settings=settings, **python) as shop:
        people = [
            event
            for name in ("anna", "ben")
            for event in (identify(name, came), track(name, came, "Product Viewed", product_id="p1"))
        ]
        shop.import_events(*people, track("clock", first, "Poem Read"))
        assert until(lambda: parked_at(shop, first) == {"care/a_day": 2}), shop.log()
        assert shop.stop() == 0
    config = tmp_path / "impuls.toml"
    written(tmp_path, NOW)
    for command in ("check", "run"):
        ended = impuls(command, "--config", config, path=tmp_path)
        assert ended.code == 2, ended.err
        assert '2 at wait "a_day" of flow "care", which has no such wait: write renamed={"a_day": "…"}' in ended.err
    written(tmp_path, NOW + ', renamed={"a_day": "the_next_day"}')
    with running(tmp_path, "--only", "worker", settings=settings, **python) as shop:
        shop.import_events(track("clock", last, "Poem Read"))
        assert until(lambda: parked_at(shop, last) == {}), shop.log()
        assert shop.stop() == 0
        told = Counter((each["customer"], each["message"]) for each in shop.decisions())
        assert told == {(name, what): 1 for name in ("anna", "ben") for what in ("first", "second")}
