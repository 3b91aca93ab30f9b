"""Versions of what puts recommendations into order, as files: `rerank-N.json`, each written once and never changed.

Beside them lies what the shop wishes of the contest, `reranking.json`: one writes it, the learner heeds it.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from flows.published_models import ModelUnreadable
from flows.published_versions import KEPT, Versions
from operators.recommender.ranking import Weights, checked, encode, read_weights
from state.files import write_once, write_whole

WISH = "reranking.json"
_VERSIONS = Versions("rerank")
numbers = _VERSIONS.numbers
"""Of all versions there are, but 0, which needs no file."""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """This version ranks, or the one that does now; where `held`, whatever is learnt.  `asked` tells wishes apart.

    `fresh`: it comes from elsewhere, and gets a number of its own here.
    """

    asked: str
    champion: Weights | None = None
    held: bool
    fresh: bool = False


def publish(folder: Path, weights: Weights) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_once(_VERSIONS.path(folder, weights.number), encode(weights).decode())
    for number in numbers(folder)[:-KEPT]:
        if number != weights.number:
            _VERSIONS.path(folder, number).unlink(missing_ok=True)


def version(folder: Path, number: int) -> Weights:
    """Raises `ModelUnreadable`, also where there is none."""
    return read(_VERSIONS.path(folder, number)) if number else Weights()


def read(path: Path) -> Weights:
    try:
        return read_weights(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ModelUnreadable(f"{path}: {error}. Name another version, or a file that `export` wrote.") from None


def wish(folder: Path, wished: Wish) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(folder / WISH, msgspec.json.encode(wished).decode())


def wished(folder: Path) -> Wish | None:
    """None where nobody wished anything.  Raises `ModelUnreadable`."""
    path = folder / WISH
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Wish)
        if found.champion is not None:
            checked(found.champion)
        return found
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelUnreadable(f"{path}: {error}. Say it anew: `impuls reranking hold` or `release`.") from None
