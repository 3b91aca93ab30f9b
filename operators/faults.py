"""What a flow definition can get wrong."""

from __future__ import annotations


class FlowError(ValueError):
    """A flow definition that could never run as written; names the place, the fact and the way out."""
