"""Latencies in HDR histograms: three digits from a microsecond to an hour, however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from hdrh.histogram import HdrHistogram

HIGHEST_MICROSECONDS = 3_600_000_000
DIGITS = 3


class Histogram:
    """Of milliseconds.  As text (`str`) it is the compressed form of the HdrHistogram libraries, which all can read."""

    def __init__(self, milliseconds: Iterable[float] = ()) -> None:
        self._hdr = HdrHistogram(1, HIGHEST_MICROSECONDS, DIGITS)
        for each in milliseconds:
            self.add(each)

    @classmethod
    def read(cls, text: str) -> Self:
        found = cls()
        found._hdr.decode_and_add(text)
        return found

    @classmethod
    def of_all(cls, parts: Iterable[Self]) -> Self:
        """One for all of them."""
        found = cls()
        for part in parts:
            found._hdr.add(part._hdr)
        return found

    def add(self, milliseconds: float) -> None:
        """A clock that was set back may give less than nothing, which counts as nothing."""
        self._hdr.record_value(min(max(0, round(milliseconds * 1000)), HIGHEST_MICROSECONDS))

    def __len__(self) -> int:
        return int(self._hdr.get_total_count())

    def __str__(self) -> str:
        encoded = self._hdr.encode()
        return str(encoded, "ascii") if isinstance(encoded, bytes) else str(encoded)

    def percentiles(self, shares: Sequence[float]) -> list[float]:
        """The value in milliseconds that each of these shares does not exceed.  Raises without values."""
        if not len(self):
            raise ValueError("no values: nothing was measured")
        found = self._hdr.get_percentile_to_value_dict([100 * share for share in shares])
        return [found[100 * share] / 1000 for share in shares]

    def percentile(self, share: float) -> float:
        return self.percentiles([share])[0]

    @property
    def greatest(self) -> float:
        return float(self._hdr.get_max_value()) / 1000
