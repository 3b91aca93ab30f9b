"""Settings that are each in order and do not go together."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from config.settings import MailServer, Settings

WILDCARDS = {"0.0.0.0", "::"}


class Clash(NamedTuple):
    """`settings` by full name, the one to speak of first; if one is at fault itself, this is not said."""

    settings: tuple[str, ...]
    fact: str
    way_out: str


def clashes(settings: Settings) -> Iterator[Clash]:
    if settings.send.mode == "only" and not settings.send.allow:
        yield Clash(
            ("send.mode", "send.allow"),
            'is "only", while send.allow names nobody',
            'Name who may get messages in send.allow, or choose "mute".',
        )
    if settings.source == "kafka" and settings.kafka.client == "librdkafka" and find_spec("confluent_kafka") is None:
        yield Clash(
            ("kafka.client", "source"),
            'is "librdkafka", which is not installed here',
            'Install the extra impuls[librdkafka], or choose "kafka-python".',
        )
    yield from _mail(settings)
    yield from _providers(settings)
    yield from _doors(settings)


def _mail(settings: Settings) -> Iterator[Clash]:
    yield from _mail_server("smtp", settings.smtp)
    backup = settings.smtp_backup
    if backup.host:
        yield from _mail_server("smtp_backup", backup)
    elif backup.username or backup.password:
        yield Clash(
            ("smtp_backup.host", "smtp_backup.username", "smtp_backup.password"),
            "is empty, while a username or password for it is given",
            "Name the second server, or take them out.",
        )


def _mail_server(name: str, smtp: MailServer) -> Iterator[Clash]:
    variable = f"IMPULS_{name.upper()}__PASSWORD"
    if smtp.username and not smtp.password:
        yield Clash(
            (f"{name}.username", f"{name}.password"),
            f"is given, while {name}.password is empty",
            f"Set {variable} or {variable}_FILE, or take the username out.",
        )
    if smtp.password and not smtp.username:
        yield Clash(
            (f"{name}.password", f"{name}.username"),
            f"is given, while {name}.username is empty",
            "Give the username, or take the password out.",
        )
    if smtp.username and smtp.security == "none" and not is_this_machine(smtp.host):
        yield Clash(
            (f"{name}.security", f"{name}.username", f"{name}.host"),
            'is "none", while a username and its password would go to another machine in the clear',
            'Choose "starttls" or "tls", or take username and password out.',
        )
    if smtp.ca_file and smtp.security == "none":
        yield Clash(
            (f"{name}.ca_file", f"{name}.security"),
            f'is given, while {name}.security is "none", which checks no certificate',
            f'Choose "starttls" or "tls" for {name}.security, or take ca_file out.',
        )


_NEEDED = {
    ("sms", "twilio"): ("account", "token", "sender"),
    ("sms", "json"): ("url", "sender"),
    ("push", "fcm"): ("service_account_file",),
    ("push", "json"): ("url",),
}


def _providers(settings: Settings) -> Iterator[Clash]:
    for section, given in (("sms", settings.sms), ("push", settings.push)):
        for name in _NEEDED.get((section, given.provider), ()):
            if not getattr(given, name):
                yield Clash(
                    (f"{section}.provider", f"{section}.{name}"),
                    f'is "{given.provider}", while {section}.{name} is empty',
                    f'Set {section}.{name} (or IMPULS_{section.upper()}__{name.upper()}), or choose "none".',
                )
        yield from _in_the_clear(section, given.url)
    if settings.webhook.endpoints and not settings.webhook.secrets:
        yield Clash(
            ("webhook.endpoints", "webhook.secrets"),
            "are given, while webhook.secrets is empty, so that nobody could tell whose they are",
            "Set IMPULS_WEBHOOK__SECRETS or IMPULS_WEBHOOK__SECRETS_FILE.",
        )
    for name, url in settings.webhook.endpoints.items():
        if settings.webhook.https_only and url.startswith("http:"):
            yield Clash(
                ("webhook.endpoints", "webhook.https_only"),
                f"have {name} at an http address",
                "Use https, or set webhook.https_only to false for tests.",
            )


def _in_the_clear(section: str, url: str) -> Iterator[Clash]:
    if url.startswith("http:") and not is_this_machine(urlsplit(url).hostname or ""):
        yield Clash(
            (f"{section}.url",),
            "is http, so that addresses and the token would go to another machine in the clear",
            "Use https.",
        )


def _doors(settings: Settings) -> Iterator[Clash]:
    http, metrics = settings.http.listen, settings.metrics.listen
    if (
        http
        and metrics
        and http.port == metrics.port
        and (http.host == metrics.host or {http.host, metrics.host} & WILDCARDS)
    ):
        yield Clash(
            ("metrics.listen", "http.listen"),
            f'is "{metrics}", where http.listen is already',
            "Give one of them another port.",
        )


def is_this_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") in {"localhost", "localhost.localdomain"}
