"""Loading the flows of a deployment by the name of their module, with their templates' texts."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from sysconfig import get_path
from traceback import format_exception_only, walk_tb

from flows.published_models import ModelUnreadable, newest
from flows.published_shares import SharesFile
from operators import flow
from operators.faults import FlowError
from operators.program import Program
from operators.recommender.rules import NO_RULES, Rule, Rules
from state import events

# The language of flows and Python itself: what is wrong in a shop's module is raised there, and is not wrong there.
_NOT_THEIRS = (Path(get_path("stdlib")), Path(flow.__file__).parent, Path(events.__file__).parent, Path(__file__))


class CatalogError(ValueError):
    """The module of flows cannot be used; the message names the place, the fact and the way out."""


@dataclass(frozen=True)
class Catalog:
    """`follow` takes in what was published since of the shares that choices draw by."""

    program: Program
    templates: Path
    follow: Callable[[], None] = lambda: None
    rules: Rules = NO_RULES


def load(module: str, models: Path | None = None) -> Catalog:
    """The flows in `module.FLOWS`, the windows in `module.WINDOWS`, what the shop wants of its recommendations in
    `module.RULES`, and the folder `templates` beside the module.

    The module is installed, or lies in the working directory, which the script `impuls` would not search by itself.
    `models` is the folder of published models: its newest is what flows ask, as long as they are loaded, and the
    shares in it are those that choices draw by.
    Raises `CatalogError`.
    """
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)  # last, so that a file there hides no package of ours
    try:
        found = importlib.import_module(module)
    except FlowError as error:
        raise CatalogError(f"{_line_of(error)}{error}") from error
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise _raised(module, error) from error
        raise CatalogError(
            f'flows = "{module}": {error}. Name a module that is installed or lies in {here}, such as "flows".'
        ) from error
    except Exception as error:
        raise _raised(module, error) from error
    if (hidden := _hidden(module, found.__file__)) is not None:
        raise CatalogError(
            f'flows = "{module}": another module of that name was found first, {found.__file__}, and not {hidden}. '
            'Give yours a name of its own, such as "my_flows".'
        )
    flows = getattr(found, "FLOWS", None)
    if not isinstance(flows, list | tuple):
        raise CatalogError(f'flows = "{module}": the module has no list FLOWS. Write FLOWS = [your_flow] in it.')
    folder = getattr(found, "TEMPLATES", None) or Path(found.__file__ or ".").parent / "templates"
    try:
        shares = SharesFile(models) if models else None
        program = Program(
            flows,
            getattr(found, "WINDOWS", ()),
            template_texts(Path(folder)),
            forecasts=newest(models) if models else None,
            schedule=shares.schedule if shares else None,
        )
    except (FlowError, ModelUnreadable) as error:
        raise CatalogError(str(error)) from error
    return Catalog(program, Path(folder), shares.follow if shares else lambda: None, _rules(module, found))


def _hidden(module: str, found: str | None) -> Path | None:
    """The module of that name in the working directory, where it is not the one that was found."""
    place = Path.cwd().joinpath(*module.split("."))
    for file in (place / "__init__.py", place.with_suffix(".py")):
        if file.is_file():
            return None if found is not None and file.samefile(found) else file
    return None


def _raised(module: str, error: Exception) -> CatalogError:
    told = format_exception_only(error)[-1].strip().removesuffix(".")
    place = f"{Path(error.filename or '').name}, line {error.lineno}: " if isinstance(error, SyntaxError) else ""
    return CatalogError(f'flows = "{module}": {place or _line_of(error)}{told}. Correct the module.')


def _line_of(error: Exception) -> str:
    """Where in the shop's own files this comes from, and empty where in none."""
    for frame, line in reversed(list(walk_tb(error.__traceback__))):
        file = Path(frame.f_code.co_filename)
        if (
            file.is_file()
            and "site-packages" not in file.parts
            and not any(file.is_relative_to(each) for each in _NOT_THEIRS)
        ):
            return f"{file.name}, line {line}: "
    return ""


def _rules(module: str, found: object) -> Rules:
    rules = getattr(found, "RULES", ())
    if not isinstance(rules, list | tuple) or not all(isinstance(each, Rule) for each in rules):
        raise CatalogError(
            f'flows = "{module}": RULES is no list of rules. Write RULES = [pin("p7"), …] with what '
            "operators.recommender.rules makes."
        )
    return Rules(tuple(rules))


def template_texts(folder: Path) -> Mapping[str, bytes]:
    """All that the files of each template say, those that all share included, so that an edited text is a new version
    of its flows."""
    if not folder.is_dir():
        return {}
    shared = _texts(folder / "_shared")
    return {
        each.name: _texts(each) + shared
        for each in sorted(folder.iterdir())
        if each.is_dir() and not each.name.startswith("_")
    }


def _texts(folder: Path) -> bytes:
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return b"\0".join(f"{file.relative_to(folder)}".encode() + b"\0" + file.read_bytes() for file in files)
