"""Published models of propensities as files: each version one file that is never changed, `propensity-N.json`."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from flows.published_versions import KEPT, Versions
from operators.propensity.forecasts import Forecasts, from_bytes, to_bytes

FOLDER = "models"
_VERSIONS = Versions("propensity")


class ModelUnreadable(ValueError):
    """The message names the file, the fact and the way out."""


def publish(folder: Path, forecasts: Forecasts) -> Forecasts:
    """Write the next version whole, durable before it has its name; what it is now called.

    Numbers go on from those on disk, so that what a decision rested on is never another model of the same number.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    there = _VERSIONS.numbers(folder)
    forecasts = msgspec.structs.replace(forecasts, number=max([forecasts.number, *(n + 1 for n in there)]))
    fresh = folder / f".{_VERSIONS.name}-{forecasts.number}.{os.getpid()}"
    with fresh.open("wb") as file:
        file.write(to_bytes(forecasts))
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(_VERSIONS.path(folder, forecasts.number))
    for number in there[: max(0, len(there) + 1 - KEPT)]:
        _VERSIONS.path(folder, number).unlink(missing_ok=True)
    return forecasts


def newest(folder: Path) -> Forecasts | None:
    """The version published last; None where there is none.  Raises `ModelUnreadable`."""
    numbers = _VERSIONS.numbers(folder)
    if not numbers:
        return None
    path = _VERSIONS.path(folder, numbers[-1])
    try:
        return from_bytes(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelUnreadable(
            f"{path}: {error}. Remove the file: the version before it is used until a new one is published."
        ) from None
