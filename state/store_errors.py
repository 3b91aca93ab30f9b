"""Why a store does not open, read or write.  Each message names the place, the fact and the way out."""

from __future__ import annotations


class StoreError(RuntimeError):
    """Something about a store on disk."""


class StoreRefused(StoreError):
    """What is on disk is not what this configuration or this version may work on."""


class StoreMismatch(StoreRefused):
    """The configuration says otherwise than what the data folder was made with."""


class StoreDamaged(StoreError):
    """Bytes on disk are not as they were written."""


class StoreBusy(StoreError):
    """Another process works on this store."""


class StoreFull(StoreError):
    """The disk takes no more.  Reads go on, and the same commit may be repeated when there is room again."""


class KeyLost(StoreError):
    """The key of a value is gone: the customer was erased, or the key store is older than the data."""
