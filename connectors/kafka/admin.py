"""Making the topics that are ours where they are missing. Topics that are there are left as they are."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from kafka.errors import NoError, TopicAlreadyExistsError, for_code  # type: ignore[import-untyped]

from connectors.kafka.desk import Desk
from state.records import LogError, TopicSpec

REPLICAS_MAX = 3
_DAY_MS = 86_400_000
_log = logging.getLogger("impuls.kafka")


def create_topics(bootstrap_servers: str, security: Mapping[str, Any], specs: Iterable[TopicSpec]) -> list[str]:
    """The names of those that were made. Several processes may do this at once.

    Raises `LogError` when Kafka cannot be reached or will not have such a topic.
    """
    desk = Desk(bootstrap_servers, "", security)
    try:
        wanted = list(specs)
        there = desk.partitions([spec.name for spec in wanted])
        missing = [spec for spec in wanted if not there[spec.name]]
        if not missing:
            return []
        replicas = min(REPLICAS_MAX, desk.brokers())
        answers = desk.create({spec.name: _stated(spec, replicas) for spec in missing})
    finally:
        desk.close()
    made = [name for name, code in answers.items() if _was_made(name, code)]
    _log.info("topics created", extra={"topics": made, "replicas": replicas})
    return made


def _stated(spec: TopicSpec, replicas: int) -> dict[str, Any]:
    return {
        "num_partitions": spec.partitions,
        "replication_factor": replicas,
        "configs": {"retention.ms": str(spec.retention_days * _DAY_MS), "cleanup.policy": "delete"},
    }


def _was_made(name: str, code: int) -> bool:
    error = for_code(code)
    if error is TopicAlreadyExistsError:
        return False  # another process was quicker
    if error is not NoError:
        raise LogError(
            f"Kafka topic {name} could not be created: {error.__name__}. "
            "Create it by hand with the partitions and retention the documentation states, or allow it to this user."
        )
    return True
