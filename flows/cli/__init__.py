"""The command line, `impuls`.  What it promises outside is in the documentation of its commands."""

from __future__ import annotations

from flows.cli.app import main

__all__ = ["main"]
