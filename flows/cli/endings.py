"""Which errors are known: they name place, fact and way out.  Read only when a command or a process ends by one."""

from __future__ import annotations

from config import ConfigError
from flows.catalog import CatalogError
from flows.imports import ImportFault
from flows.supervisor_edits import ParkedNowhere
from operators.files import FileFault
from operators.shard import SourceGap
from state.records import LogError
from state.store_errors import StoreError, StoreMismatch

_CALLERS = (ConfigError, CatalogError, FileFault, ImportFault, ParkedNowhere, StoreMismatch)
_FAILED = (StoreError, LogError, SourceGap, OSError)


def code_of(error: Exception) -> int | None:
    """None for what nobody foresaw: then a traceback says more."""
    if isinstance(error, _CALLERS):
        return 2
    return 1 if isinstance(error, _FAILED) else None
