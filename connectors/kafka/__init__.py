"""Kafka as one of the two logs: the doors of `state.records`, by kafka-python or, where it is installed, librdkafka."""

from __future__ import annotations
