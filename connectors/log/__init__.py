"""The embedded log: Kafka's promises on one machine, in files, for those who have no Kafka."""

from __future__ import annotations

from connectors.log.keeping import apply_retention, create_topics
from connectors.log.reader import LogReader
from connectors.log.writer import LogWriter

__all__ = ["LogReader", "LogWriter", "apply_retention", "create_topics"]
