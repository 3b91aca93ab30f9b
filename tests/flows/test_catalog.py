"""A module of flows with a fault in it says where: its file and line, the fact and the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.commands import asked

SHOP = """\
from operators.flow import Flow, Template, hours, on, send, wait
from operators.windows import count, sliding
from state.events import ProductViewed

views = sliding("views", on=ProductViewed, over=hours(24), keep=count())


def content(view, customer):
    return {}


looked = Flow("looked", enter=on(ProductViewed), steps=[wait("hour", hours(1)), send(Template("hello", content))])

FLOWS = [looked]
WINDOWS = [views]
"""

FAULTS = {
    "a name that is not there": (
        "on(ProductViewed)",
        "on(ProductVewed)",
        "flows = \"shop\": shop.py, line 12: NameError: name 'ProductVewed' is not defined",
    ),
    "a name that the language has not": (
        "count, sliding\n",
        "countt, sliding\n",
        "flows = \"shop\": shop.py, line 2: ImportError: cannot import name 'countt'",
    ),
    "a module that it needs and is not there": (
        "from state.events",
        "from stat.events",
        "flows = \"shop\": shop.py, line 3: ModuleNotFoundError: No module named 'stat.events'",
    ),
    "what Python cannot read": ("return {}", "return {", 'flows = "shop": shop.py, line 9: SyntaxError: '),
    "a flow that cannot run as written": (
        'wait("hour", hours(1))',
        'wait("hour", 1)',
        'shop.py, line 12: looked.steps[0]: how long wait "hour" lasts is 1. Write minutes(…)',
    ),
    "what is no list of flows": ("FLOWS = [looked]", "FLOWS = looked", 'flows = "shop": the module has no list FLOWS.'),
    "what is no list of windows": ("WINDOWS = [views]", "WINDOWS = views", 'WINDOWS is the Sliding "views". '),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_a_shops_own_module_is_told_with_its_line(fault: str, tmp_path: Path) -> None:
    written, mistaken, told = FAULTS[fault]
    assert written in SHOP
    (tmp_path / "shop.py").write_text(SHOP.replace(written, mistaken))
    (tmp_path / "impuls.toml").write_text('flows = "shop"\n')
    ended = asked("check", cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(told), ended.err
    assert ended.err.endswith("\n1 fault.\n")


def test_a_module_that_is_not_there_is_told_with_where_it_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "impuls.toml").write_text('flows = "shopp"\n')
    ended = asked("check", cwd=tmp_path)
    assert (
        f"flows = \"shopp\": No module named 'shopp'. Name a module that is installed or lies in {tmp_path}"
        in ended.err
    )


@pytest.mark.parametrize("place", ["flows.py", "flows/__init__.py"])
def test_a_module_that_another_of_its_name_hides_is_not_passed_over_in_silence(place: str, tmp_path: Path) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text(SHOP)
    (tmp_path / "impuls.toml").write_text('flows = "flows"\n')
    ended = asked("check", cwd=tmp_path)
    assert ended.code == 2
    assert ended.err.startswith('flows = "flows": another module of that name was found first, ')
    assert f'and not {tmp_path / place}. Give yours a name of its own, such as "my_flows".' in ended.err
