"""Every setting there is: what may differ between two deployments, each with a default that serves the embedded demo.

A section is a frozen value; a setting's kind says what it takes. Reading them from a file and the environment is
in `config.load`; what they mean to an operator is in docs/configuration.md, and a test holds that each is there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from config import addresses, caps, kinds, targets, times
from config.knobs import knob
from config.security import Security, security
from config.values import Address, Cap, Quiet, Stalled

OUR_TOPICS = frozenset({"decisions", "messages", "deliveries", "dead-letters", "internal", "recommendations"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The embedded log. `partitions` holds for topics that are made from then on; what is kept, for events only."""

    partitions: int = knob(kinds.whole(1, 1024, 8), 8)
    retention_days: int = knob(kinds.whole(1, 3650, 30), 30)
    retention_mib: int | None = knob(kinds.whole_or_none(64, 16_777_216, 4096), "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where the first start begins on topics that already exist: milliseconds since 1970 UTC when it is a time."""

    at: times.Start = knob(times.start(), "earliest")


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """Whether messages leave the house, and to whom."""

    mode: Literal["live", "mute", "only"] = knob(kinds.one_of("live", "mute", "only"), "live")
    allow: tuple[str, ...] = knob(addresses.people(), [], personal=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kafka:
    """`topics` are read from the embedded log too, when that is the source."""

    bootstrap_servers: str = knob(addresses.servers(), "127.0.0.1:19092")
    client: Literal["kafka-python", "librdkafka"] = knob(kinds.one_of("kafka-python", "librdkafka"), "kafka-python")
    security: Security = knob(security(), {"protocol": "PLAINTEXT"})
    topics: tuple[str, ...] = knob(addresses.topics(OUR_TOPICS), ["clickstream", "orders", "catalogue", "engagement"])
    group: str = knob(kinds.text("impuls"), "impuls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Guards:
    """What protects a customer from too much. Without a limit `cap` and `quiet` are None and `min_gap_ms` is 0."""

    cap: Cap | None = knob(times.cap(), "4 per 7 days", name="marketing_cap")
    caps: caps.Caps = knob(caps.caps(), {})
    quiet: Quiet | None = knob(times.quiet(), "21:00-08:00", name="quiet_hours")
    time_zone: str = knob(times.time_zone(), "Europe/Warsaw")
    min_gap_ms: int = knob(times.gap(), "none", name="min_gap")
    holdout_percent: float = knob(kinds.number(0, 100, 5), 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """A mail server. `pool` is the most connections that one courier holds open; `username` is empty for none."""

    host: str = knob(addresses.host(), "127.0.0.1")
    port: int = knob(addresses.port(), 2525)
    security: Literal["none", "starttls", "tls"] = knob(kinds.one_of("none", "starttls", "tls"), "none")
    username: str = knob(kinds.text("impuls", empty=True), "")
    password: str = knob(kinds.secret(), "", secret=True)
    pool: int = knob(kinds.whole(1, 256, 8), 8)
    timeout_seconds: float = knob(kinds.number(0.1, 600, 30), 30)
    ca_file: Path | None = knob(kinds.file_or_none(), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Smtp(MailServer):
    """Where mail is handed over, and who it is from."""

    sender: str = knob(addresses.sender(), "Shop <hello@shop.example>")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpBackup(MailServer):
    """Where mail is handed over while the first server cannot be reached; `host` is empty for nowhere."""

    host: str = knob(addresses.host(empty=True), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sms:
    """Who takes text messages. `sender` is a number, a name, or the id of one of Twilio's messaging services."""

    provider: Literal["none", "twilio", "json"] = knob(kinds.one_of("none", "twilio", "json"), "none")
    url: str = knob(addresses.url(empty=True), "")
    account: str = knob(kinds.text("AC0123", empty=True), "")
    token: str = knob(kinds.secret(), "", secret=True)
    sender: str = knob(kinds.text("+48600100200", empty=True), "")
    segments_max: int = knob(kinds.whole(1, 10, 3), 3)
    timeout_seconds: float = knob(kinds.number(0.1, 600, 10), 10)
    ca_file: Path | None = knob(kinds.file_or_none(), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """Who takes push messages. Firebase asks for the key file of a service account, other services for a token."""

    provider: Literal["none", "fcm", "json"] = knob(kinds.one_of("none", "fcm", "json"), "none")
    url: str = knob(addresses.url(empty=True), "")
    service_account_file: Path | None = knob(kinds.file_or_none(), "")
    token: str = knob(kinds.secret(), "", secret=True)
    timeout_seconds: float = knob(kinds.number(0.1, 600, 10), 10)
    ca_file: Path | None = knob(kinds.file_or_none(), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Outgoing webhooks. Where `https_only` is false or a network is named, they may go where others may not."""

    endpoints: Mapping[str, str] = knob(targets.endpoints(), {})
    secrets: tuple[str, ...] = knob(targets.secrets(), [], secret=True)
    https_only: bool = knob(kinds.flag(), True)
    private_networks: tuple[str, ...] = knob(targets.networks(), [])
    timeout_seconds: float = knob(kinds.number(0.1, 600, 10), 10)
    ca_file: Path | None = knob(kinds.file_or_none(), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """The HTTP doors; `listen` is None where they are shut.  `read_key` opens those that read, also from elsewhere."""

    listen: Address | None = knob(addresses.listen(), "127.0.0.1:8000")
    read_key: str = knob(kinds.secret(), "", secret=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """Where /metrics, /healthz and /readyz are; `listen` is None for nowhere."""

    listen: Address | None = knob(addresses.listen(), "127.0.0.1:9464")


@dataclass(frozen=True, slots=True, kw_only=True)
class Courier:
    """`concurrency`: calls in flight and results not yet acknowledged, together, per courier and channel."""

    concurrency: int = knob(kinds.whole(1, 4096, 32), 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The shard store: how long things are kept, and the memory one worker gives it (all its shards together)."""

    retention_days: int = knob(kinds.whole(1, 3650, 90), 90)
    customer_retention_days: int = knob(kinds.whole(1, 36500, 730), 730)
    cache_mib: int = knob(kinds.whole(8, 1_048_576, 128), 128)
    write_buffer_mib: int = knob(kinds.whole(8, 1_048_576, 128), 128)
    customers_cached: int = knob(kinds.whole(64, 100_000_000, 50_000), 32_768)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recommender:
    """The process that learns what to recommend; `cache_mib` is for its store."""

    enabled: bool = knob(kinds.flag(), True)
    cache_mib: int = knob(kinds.whole(8, 1_048_576, 64), 64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """How often flows' choices learn, in milliseconds; 0 where only `impuls choices learn` makes them."""

    learn_every: int = knob(times.gap(), "1 hour")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The whole configuration. Paths are as written: relative ones are relative to where the process was started."""

    data_dir: Path = knob(kinds.path(), ".local/impuls")
    secret_file: Path = knob(kinds.path(), ".local/impuls/secret")
    public_url: str = knob(addresses.url(), "http://127.0.0.1:8000")
    currency: str = knob(kinds.currency(), "PLN")
    durability: Literal["process", "power"] = knob(kinds.one_of("process", "power"), "process")
    shards: int = knob(kinds.whole(1, 4096, 64), 64)
    source: Literal["log", "kafka"] = knob(kinds.one_of("log", "kafka"), "log")
    flows: str = knob(kinds.module(), "flows")
    clock: Literal["live", "replay"] = knob(kinds.one_of("live", "replay"), "live")
    stalled: Stalled = knob(times.stalled(), "hold", name="on_stalled")
    log: Log = field(default_factory=Log)
    start: Start = field(default_factory=Start)
    send: Send = field(default_factory=Send)
    kafka: Kafka = field(default_factory=Kafka)
    guards: Guards = field(default_factory=Guards)
    smtp: Smtp = field(default_factory=Smtp)
    smtp_backup: SmtpBackup = field(default_factory=SmtpBackup)
    sms: Sms = field(default_factory=Sms)
    push: Push = field(default_factory=Push)
    webhook: Webhook = field(default_factory=Webhook)
    http: Http = field(default_factory=Http)
    metrics: Metrics = field(default_factory=Metrics)
    courier: Courier = field(default_factory=Courier)
    store: Store = field(default_factory=Store)
    recommender: Recommender = field(default_factory=Recommender)
    choices: Choices = field(default_factory=Choices)
