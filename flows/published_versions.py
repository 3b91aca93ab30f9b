"""Versions of what was learnt, as files of one folder: `NAME-N.json`, each written once and never changed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

KEPT = 100  # the latest versions


@dataclass(frozen=True)
class Versions:
    """Those of one name."""

    name: str

    def path(self, folder: Path, number: int) -> Path:
        return folder / f"{self.name}-{number}.json"

    def numbers(self, folder: Path) -> list[int]:
        """Of all that are there, in order."""
        if not folder.is_dir():
            return []
        found = (
            each.name.removeprefix(f"{self.name}-").removesuffix(".json") for each in folder.glob(f"{self.name}-*.json")
        )
        return sorted(int(number) for number in found if number.isdigit())
