"""What a flow definition can get wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class FlowError(ValueError):
    """A flow definition that could never run as written; names the place, the fact and the way out."""


class Noted:
    """Several checks, of which each may raise: what they all found is raised at once."""

    def __init__(self) -> None:
        self._faults: list[str] = []

    @contextmanager
    def check(self) -> Iterator[None]:
        try:
            yield
        except FlowError as error:
            self._faults.append(str(error))

    def end(self) -> None:
        """Raises `FlowError` with a line for each fault."""
        if self._faults:
            raise FlowError("\n".join(self._faults))


def expect(place: str, value: object, kind: type | tuple[type, ...], way_out: str) -> None:
    """Raise `FlowError` where a value is of another kind: mypy would tell, but not everybody asks it."""
    if not isinstance(value, kind):
        raise FlowError(f"{place} is {shown(value)}. {way_out}")


def expect_all(place: str, values: object, kind: type | tuple[type, ...], way_out: str) -> None:
    """The same for each value of a list, and for the list itself."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise FlowError(f"{place} is {shown(values)}, not a list. {way_out}")
    for number, value in enumerate(values):
        expect(f"{place}[{number}]", value, kind, way_out)


def shown(value: object) -> str:
    """A value that stands where it cannot, so that whoever wrote it finds it."""
    if isinstance(value, str | int | float | None):
        return repr(value)
    name = getattr(value, "__name__", None) or getattr(value, "name", "")
    kind = "class" if isinstance(value, type) else type(value).__name__
    return f'the {kind} "{name}"' if isinstance(name, str) and name else f"a {kind}"
