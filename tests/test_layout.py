"""The shape of the repository, checked like any other behaviour: who may import whom, how long a file may get,
and what must never stand in it."""

import ast
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MAY_IMPORT: dict[str, set[str]] = {
    "config": set(),
    "state": set(),
    "operators": {"state"},
    "connectors": {"state", "config"},
    "flows": {"operators", "state"},
}
# Where everything meets: the processes and the commands.
MEETING_PLACES = ("worker", "courier", "learner", "serve", "supervisor", "demo", "cli")
LINES_MAX = 500
NOT_OURS = {".git", ".venv", ".local", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis"}


def sources(*folders: str) -> list[Path]:
    return sorted(source for folder in folders for source in (ROOT / folder).rglob("*.py"))


def name(source: Path) -> str:
    return str(source.relative_to(ROOT))


def imports(source: Path) -> Iterator[tuple[int, str]]:
    """Line and top-level name of each absolute import, those inside functions and type-checking blocks included."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.lineno, node.module.split(".")[0]
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.split(".")[0]) for alias in node.names)


def everything_meets_in(source: Path) -> bool:
    """True for the module itself, its siblings (`cli_show.py`) and what is in a folder of that name."""
    relative = source.relative_to(ROOT)
    top = relative.parts[1].removesuffix(".py")
    return relative.parts[0] == "flows" and any(top == place or top.startswith(f"{place}_") for place in MEETING_PLACES)


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_packages_import_only_what_they_may(package: str) -> None:
    ours = {*MAY_IMPORT, "benchmarks", "tests"}
    faults = []
    for source in sources(package):
        allowed = MAY_IMPORT[package] | {package}
        if everything_meets_in(source):
            allowed = set(MAY_IMPORT)
        faults += [
            f"{name(source)}:{line} imports {other}" for line, other in imports(source) if other in ours - allowed
        ]
    assert not faults


def test_the_flows_themselves_do_not_import_where_everything_meets() -> None:
    faults = []
    for source in sources("flows"):
        if everything_meets_in(source) or source.name == "__main__.py":
            continue
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("flows."):
                continue
            if str(node.module).split(".")[1].split("_")[0] in MEETING_PLACES:
                faults.append(f"{name(source)}:{node.lineno} imports {node.module}")
    assert not faults


def test_only_the_dataflow_module_knows_bytewax() -> None:
    who = {name(source) for source in sources(*MAY_IMPORT) if "bytewax" in {other for _, other in imports(source)}}
    assert who <= {"operators/dataflow.py"}


@pytest.mark.parametrize("package", [*MAY_IMPORT, "benchmarks"])
def test_our_packages_are_the_ones_imported(package: str) -> None:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    found = Path(spec.origin).resolve().parent
    assert found == ROOT / package, f"something else called {package} is installed at {found}"


def test_no_file_is_longer_than_one_can_read() -> None:
    lengths = {
        name(source): len(source.read_text(encoding="utf-8").splitlines())
        for source in sources(*MAY_IMPORT, "tests", "benchmarks")
    }
    assert {source: length for source, length in lengths.items() if length > LINES_MAX} == {}


def test_no_module_is_called_utils() -> None:
    everything = sources(*MAY_IMPORT, "tests", "benchmarks")
    assert [
        name(source) for source in everything if {"utils", "util"} & {*source.relative_to(ROOT).with_suffix("").parts}
    ] == []


def test_modules_of_ours_say_what_they_are_for() -> None:
    silent = [
        name(s)
        for s in sources(*MAY_IMPORT, "benchmarks")
        if s.stat().st_size and not ast.get_docstring(ast.parse(s.read_text(encoding="utf-8")))
    ]
    assert silent == []


def test_the_project_cannot_be_uploaded_by_accident() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "Private :: Do Not Upload" in project["project"]["classifiers"]
    assert set(project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]) == {*MAY_IMPORT, "benchmarks"}


def test_the_lock_has_hashes_and_no_index() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in lock
    assert "--index-url" not in lock
    requirements = [line for line in lock.splitlines() if line and not line.startswith((" ", "#"))]
    assert requirements
    assert [line for line in requirements if "==" not in line or not line.endswith("\\")] == []


def test_nothing_names_the_machine_it_was_written_on() -> None:
    place = "/" + "work/"  # Put together, so that this file does not name it either.
    assert [name(path) for path in text_files(ROOT) if place in path.read_text(encoding="utf-8", errors="ignore")] == []


def text_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in NOT_OURS or path.is_symlink():
            continue
        if path.is_dir():
            yield from text_files(path)
        elif path.suffix not in {".gz", ".png", ".svg", ".pyc"}:
            yield path


def test_mypy_sees_the_types_of_every_package_from_where_a_shop_writes_its_flows() -> None:
    assert [package for package in MAY_IMPORT if not (ROOT / package / "py.typed").is_file()] == []
