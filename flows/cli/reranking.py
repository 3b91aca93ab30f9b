"""`impuls reranking`: who puts recommendations into order, and the shop's word in it.

The learner alone writes what it learnt; a wish is a file that it heeds within seconds, or when it starts.
"""

from __future__ import annotations

import secrets
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from config import Settings
from flows import published_rerankings as published
from flows.cli.options import Config, Json, audit, fail, settings_of
from flows.cli.reading import existing
from flows.published_models import FOLDER, ModelUnreadable
from flows.published_rerankings import Wish
from operators.recommender.ranking import CHALLENGERS, CONTEST, Standing, Weights, encode
from state.item_store import ItemStore
from state.rocks import Memory

app = typer.Typer(help="Who puts recommendations into order: a champion, challengers, and versions to go back to.")
File = Annotated[Path | None, typer.Option(help="One that `export` wrote, here or elsewhere; it gets a number.")]
Number = Annotated[int | None, typer.Option(help="This version; 0 is the order in which they come.", min=0)]


@app.command("list")
def list_(config: Config = None, as_json: Json = False) -> None:
    """The champion, what its challengers came to, and the versions there are."""
    settings = settings_of(config)
    told = _told(_standing(settings), published.numbers(_folder(settings)))
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(told) + b"\n")
        return
    held = ", held by the shop" if told["held"] else ""
    print(
        f"{_called(told['champion'])}{held}: reciprocal rank {told['reciprocal_rank']:.3f}, {told['choices']} choices"
    )
    for each in told["challengers"]:
        gain = f"{each['gain']:+.4f} ± {each['error']:.4f} against the champion over {each['judged']} choices"
        print(f"  {each['challenger']:6} reciprocal rank {each['reciprocal_rank']:.3f}, {gain}")
    print(f"versions: {', '.join(map(str, [0, *told['versions']]))}")


@app.command("export")
def export_(number: Number = None, config: Config = None) -> None:
    """Print a version as JSON, else the one that ranks now."""
    settings = settings_of(config)
    sys.stdout.buffer.write(encode(_version(settings, number)) + b"\n")


@app.command("hold")
def hold_(
    number: Number = None,
    file: File = None,
    config: Config = None,
) -> None:
    """Rank by this version, else by the one that does now, whatever is learnt, until `release`."""
    if number is not None and file is not None:
        raise typer.BadParameter("say a number or a file, not both.")
    settings = existing(config)
    champion = None if number is None and file is None else _version(settings, number, file)
    _wish(settings, champion, held=True, fresh=file is not None)
    print(f"Will be held: {_called(champion.number) if champion and file is None else file or 'what ranks now'}.")


@app.command("release")
def release_(config: Config = None) -> None:
    """Let a challenger that is better by evidence take the place of what was held."""
    _wish(existing(config), None, held=False)
    print("Will be released.")


def _wish(settings: Settings, champion: Weights | None, *, held: bool, fresh: bool = False) -> None:
    audit(settings, "reranking")
    published.wish(_folder(settings), Wish(asked=secrets.token_hex(8), champion=champion, held=held, fresh=fresh))


def _version(settings: Settings, number: int | None, file: Path | None = None) -> Weights:
    if number is None and file is None:
        return _standing(settings).champion
    try:
        return published.read(file) if file is not None else published.version(_folder(settings), number or 0)
    except ModelUnreadable as error:
        raise fail(str(error), 2) from None


def _standing(settings: Settings) -> Standing:
    with tempfile.TemporaryDirectory(prefix="impuls-") as scratch:
        store = ItemStore.open_reading(settings.data_dir, Path(scratch), Memory(8, 8))
        if store is None:
            return Standing()
        try:
            stored = store.note(CONTEST)
            return msgspec.json.decode(stored, type=Standing) if stored is not None else Standing()
        except msgspec.MsgspecError as error:
            raise fail(f"{store.path}: the contest cannot be read ({error}). The learner begins it anew.") from None
        finally:
            store.close()


def _told(standing: Standing, versions: list[int]) -> dict[str, Any]:
    challengers = [
        {
            "challenger": name,
            "choices": learnt.choices,
            "reciprocal_rank": score.reciprocal,
            "judged": score.judged,
            "gain": score.mean,
            "error": score.error,
        }
        for name, learnt, score in zip(CHALLENGERS, standing.challengers, standing.scores, strict=False)
    ]
    return {
        "champion": standing.champion.number,
        "held": standing.held,
        "choices": max((each.choices for each in standing.challengers), default=0),
        "reciprocal_rank": standing.reciprocal,
        "challengers": challengers,
        "versions": versions,
    }


def _called(number: int) -> str:
    return f"version {number}" if number else "the order in which they come (version 0)"


def _folder(settings: Settings) -> Path:
    return settings.data_dir / FOLDER
