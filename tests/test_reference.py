"""The reference that `make docs` writes: every module of it can be rendered, and what flows are made of is in it."""

from __future__ import annotations

import re
from pathlib import Path

import pdoc

from operators import flow

MAKEFILE = Path(__file__).resolve().parents[1] / "Makefile"


def test_what_flows_are_written_with_is_in_the_reference(tmp_path: Path) -> None:
    listed = re.search(r"^REFERENCE := ((?:.*\\\n)*.*)$", MAKEFILE.read_text(), re.MULTILINE)
    assert listed is not None
    modules = listed.group(1).replace("\\", " ").split()
    pdoc.pdoc(*modules, output_directory=tmp_path)
    pages = {module: (tmp_path / f"{module.replace('.', '/')}.html").read_text() for module in modules}
    assert {*re.findall(r'<section id="(\w+)"', pages["operators.flow"])} >= {*flow.__all__}
    for name in ("customer", "flow", "outcome", "reason"):
        assert f'id="Decision.{name}"' in pages["state.decisions"]
