"""`impuls run` as a whole: events in, mails out, seen by a monitoring system, and nothing personal in what it says."""

from __future__ import annotations

import email
import email.policy
import re
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from tests.connectors.mail_servers import Mailbox, mail_server
from tests.flows.deployments import Deployment, running, until
from tests.flows.test_cli import HOUR, MINUTE, NO_LIMITS, ago, identify, track

SECRETS = ("anna", "Anna", "example.invalid", "berta")


@dataclass
class Shop:
    deployment: Deployment
    mailbox: Mailbox

    def address(self, section: str) -> str:
        text = self.deployment.config.read_text()
        found = re.search(rf'\[{section}\]\nlisten = "(.*)"', text)
        assert found is not None
        return f"http://{found[1]}"

    def get(self, section: str, path: str, data: bytes | None = None) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.address(section) + path, data, timeout=10) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as error:
            return error.code, error.read().decode()

    def metrics(self) -> dict[str, Metric]:
        status, text = self.get("metrics", "/metrics")
        assert status == 200
        return {family.name: family for family in text_string_to_metric_families(text)}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    mailbox = Mailbox()
    with mail_server(mailbox) as port:
        settings = f"{NO_LIMITS}\n[smtp]\nport = {port}"
        with running(tmp_path_factory.mktemp("shop"), settings=settings) as deployment:
            deployment.import_events(
                identify("anna", ago(2 * HOUR)),
                track("anna", ago(2 * HOUR), "Consent Granted", channel="email", topic="marketing"),
                track("anna", ago(90 * MINUTE), "Product Added", product_id="p1", cart_id="k1", price=120),
                identify("berta", ago(2 * HOUR)),
                track("berta", "1970-01-01T00:00:00Z", "Product Added", product_id="p2"),
            )
            assert until(lambda: len(mailbox.taken) == 2), deployment.log()
            yield Shop(deployment, mailbox)
            assert deployment.stop() == 0, deployment.log()


def test_every_decided_message_is_handed_to_the_mail_server_once(shop: Shop) -> None:
    mails = [email.message_from_bytes(raw, policy=email.policy.default) for _, raw in shop.mailbox.taken]
    assert sorted(mail["X-Impuls-Template"] for mail in mails) == ["cart_reminder", "welcome"]
    decided = {row["message_id"] for row in shop.deployment.decisions("--customer", "anna")}
    assert {mail["Message-ID"].strip("<>").partition("@")[0] for mail in mails} == decided


PROMISED = {
    "impuls_events": {"topic", "result"},
    "impuls_event_to_decision_seconds": set(),
    "impuls_event_to_accepted_seconds": {"channel"},
    "impuls_source_lag_records": {"topic", "partition"},
    "impuls_source_last_fetch_age_seconds": set(),
    "impuls_shard_batch_seconds": set(),
    "impuls_decisions": {"flow", "outcome", "reason"},
    "impuls_deliveries": {"provider", "result"},
    "impuls_outbox_messages": set(),
    "impuls_outbox_oldest_age_seconds": set(),
    "impuls_parked": {"flow", "wait"},
    "impuls_timers": set(),
    "impuls_dead_letters": {"reason"},
    "impuls_epoch_seconds": set(),
    "impuls_recommend_seconds": {"block"},
}


def test_the_promised_metrics_are_there_with_their_labels_and_no_customer(shop: Shop) -> None:
    assert until(lambda: shop.get("http", "/v1/recommendations/anna")[0] == 200)
    assert until(lambda: set(PROMISED) <= set(shop.metrics()))
    assert until(lambda: all(shop.metrics()[name].samples for name in PROMISED))
    found = shop.metrics()
    for name, labels in PROMISED.items():
        samples = found[name].samples
        assert samples, name
        for sample in samples:
            assert labels <= set(sample.labels), name
            assert not any(word in str(value) for value in sample.labels.values() for word in SECRETS)


def test_metrics_count_what_happened(shop: Shop) -> None:
    def total(name: str, **labels: str) -> float:
        samples = shop.metrics()[name].samples
        return sum(
            sample.value
            for sample in samples
            if sample.name.endswith("_total") and labels.items() <= sample.labels.items()
        )

    assert until(lambda: total("impuls_deliveries", result="accepted") == 2)
    assert until(lambda: total("impuls_decisions", flow="welcome", outcome="send") == 1)
    assert total("impuls_dead_letters", reason="timestamp_too_old") == 1
    assert total("impuls_events", topic="clickstream", result="applied") == 4


def test_health_and_readiness_are_answered(shop: Shop) -> None:
    assert shop.get("metrics", "/healthz") == (200, "ok\n")
    assert shop.get("metrics", "/readyz") == (200, "ready\n")
    assert shop.get("metrics", "/nothing")[0] == 404


def test_each_process_is_seen_in_the_status(shop: Shop) -> None:
    assert until(lambda: {"worker-0", "courier-0", "learner", "serve"} <= set(shop.deployment.status()["processes"]))


def test_logs_are_json_lines_without_anything_personal(shop: Shop) -> None:
    text = shop.deployment.log()
    assert text.count("\n") >= 3
    assert all(line.startswith("{") for line in text.splitlines())
    assert not [word for word in SECRETS if word in text]


def test_an_unsubscribe_link_is_shown_by_get_and_acts_by_post(shop: Shop) -> None:
    mail = email.message_from_bytes(shop.mailbox.taken[0][1], policy=email.policy.default)
    path = "/" + str(mail["List-Unsubscribe"]).strip("<>").split("/", 3)[3]
    status, page = shop.get("http", path)
    assert status == 200
    assert "<form" in page
    assert shop.deployment.decisions("--customer", "anna")  # still one who agreed
    assert shop.get("http", path, b"List-Unsubscribe=One-Click")[0] == 200

    def withdrawn() -> bool:
        [anna] = shop.deployment.impuls("customer", "anna", "--json").lines()
        return anna["consents"]["email/marketing"]["granted"] is False

    assert until(withdrawn)
    assert shop.get("http", "/u/not-a-token")[0] == 404


def test_who_unsubscribed_is_still_decided_about_and_gets_nothing(shop: Shop) -> None:
    before = len(shop.mailbox.taken)
    shop.deployment.import_events(
        track("anna", ago(61 * MINUTE), "Product Added", product_id="p9", cart_id="k9", price=5)
    )

    def refused() -> bool:
        return "no_consent" in [row.get("reason") for row in shop.deployment.decisions("--customer", "anna")]

    assert until(refused)
    assert len(shop.mailbox.taken) == before


def test_nothing_is_replayed_after_a_polite_stop(tmp_path: Path) -> None:
    with running(tmp_path, "--only", "worker", settings=NO_LIMITS) as deployment:
        deployment.import_events(identify("anna", ago(2 * HOUR)), track("anna", ago(HOUR), "Consent Granted"))
        assert until(lambda: len(deployment.decisions()) == 1)
        assert deployment.stop() == 0
    with running(tmp_path, "--only", "worker", settings=NO_LIMITS) as deployment:
        assert until(lambda: deployment.status()["lag_total"] == 0)
        metrics = (deployment.folder / "data" / "run" / "worker-0.prom").read_text()
        assert "impuls_events_total{" not in metrics
        assert len(deployment.decisions()) == 1
        assert deployment.stop() == 0


def test_what_a_shop_has_beside_its_settings_stands_in_for_nothing_of_ours(tmp_path: Path) -> None:
    """Where `impuls` is started is looked in last, by every process: a `config.py` there is the shop's own affair."""
    for name in ("config", "state", "operators", "connectors", "http", "json"):
        (tmp_path / f"{name}.py").write_text('raise RuntimeError("not what was meant")\n')
    with running(tmp_path, at=tmp_path) as deployment:
        shop = Shop(deployment, Mailbox())

        def is_served() -> bool:
            try:
                return shop.get("http", "/openapi.json")[0] == 200
            except OSError:
                return False

        assert until(is_served), deployment.log()
        assert deployment.stop() == 0
        assert "not what was meant" not in deployment.log()
        assert '"died"' not in deployment.log()
