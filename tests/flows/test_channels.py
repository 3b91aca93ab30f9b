"""Messages on all channels, from an event to a provider's door: `impuls run` as people run it."""

from __future__ import annotations

import base64
from pathlib import Path

from tests.connectors.http_servers import Says, Site, http_server
from tests.flows.commands import ROOT, impuls
from tests.flows.deployments import running, until
from tests.flows.test_cli import HOUR, NO_LIMITS, ago, identify, track

FLOWS = """
from collections.abc import Mapping
from typing import Any

from operators.flow import Flow, Template, on, send
from state.customer import Customer
from state.events import OrderCompleted


def order(event: OrderCompleted, customer: Customer) -> Mapping[str, Any]:
    return {"order_id": event.order_id, "first_name": customer.first_name}


on_its_way = Template("on_its_way", order, channel="sms", kind="transactional")
FLOWS = [Flow("dispatch", enter=on(OrderCompleted), steps=[send(on_its_way)])]
"""


def shop(folder: Path, flows: str, **templates: str) -> None:
    """Write a deployment's own flows and templates; `sms__on_its_way` is the file sms.txt of on_its_way."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "shop_flows.py").write_text(flows)
    (folder / "templates").mkdir(exist_ok=True)
    for place, text in templates.items():
        name, template = place.split("__", 1)
        (folder / "templates" / template).mkdir(exist_ok=True)
        (folder / "templates" / template / f"{name}.txt").write_text(text)


def test_an_order_is_told_by_text_message(tmp_path: Path) -> None:
    site = Site(lambda _: Says(201))
    shop(tmp_path, FLOWS, sms__on_its_way="Order {{ order_id }} is on its way, {{ first_name | person }}!")
    with http_server(site) as port:
        settings = f'flows = "shop_flows"\n{NO_LIMITS}\n[sms]\nprovider = "json"\nsender = "Shop"\ntoken = "t0ken"\n'
        settings += f'url = "http://127.0.0.1:{port}/messages"'
        with running(tmp_path, settings=settings, PYTHONPATH=f"{ROOT}:{tmp_path}") as deployment:
            deployment.import_events(
                identify("anna", ago(2 * HOUR), phone="+48 600 100 200"),
                track("anna", ago(HOUR), "Order Completed", order_id="o1", products=[{"product_id": "p1"}]),
                identify("berta", ago(2 * HOUR), phone="none of your business"),
                track("berta", ago(HOUR), "Order Completed", order_id="o2", products=[{"product_id": "p1"}]),
            )
            assert until(lambda: len(site.asked) == 1 and len(deployment.decisions()) == 2), deployment.log()
            [asked] = site.asked
            decided = {row["customer"]: row for row in deployment.decisions()}
            assert (decided["anna"]["outcome"], decided["anna"]["channel"]) == ("send", "sms")
            assert (decided["berta"]["outcome"], decided["berta"]["reason"]) == ("skip", "no_address")
            message_id = decided["anna"]["message_id"]
            assert asked.json == {
                "id": message_id,
                "to": "+48600100200",
                "from": "Shop",
                "text": "Order o1 is on its way, Anna!",
            }
            assert asked.headers["idempotency-key"] == f"{message_id}-0"
            assert asked.headers["authorization"] == "Bearer t0ken"
            assert deployment.stop() == 0, deployment.log()


ALL = """
from collections.abc import Mapping
from typing import Any

from operators.flow import Flow, Template, on, send
from state.customer import Customer
from state.events import OrderCompleted


def order(event: OrderCompleted, customer: Customer) -> Mapping[str, Any]:
    return {"order_id": event.order_id}


push = Template("push", order, channel="push", kind="transactional")
text = Template("text", order, channel="sms", kind="transactional")
mail = Template("mail", order, kind="transactional")
to_crm = Template("to_crm", order, channel="webhook", kind="transactional", to="crm")
FLOWS = [Flow("orders", enter=on(OrderCompleted), steps=[send(push, otherwise=[text, mail]), send(to_crm)])]
"""
WORDS = {"push_title__push": "Thanks", "push_body__push": "Order {{ order_id }}", "sms__text": "Order {{ order_id }}"}
WORDS |= {"subject__mail": "Thanks", "body__mail": "Order {{ order_id }}"}
SECRET = "whsec_" + base64.b64encode(b"a secret of the tests, 32 bytes.").decode()


def test_check_says_what_flows_send_and_nobody_takes_or_words(tmp_path: Path) -> None:
    shop(tmp_path, ALL, sms__push="files of another channel", sms__text="Dziękujemy {{ order_id }}")
    (tmp_path / "impuls.toml").write_text('flows = "shop_flows"\n')
    found = impuls("check", "--config", tmp_path / "impuls.toml", path=tmp_path)
    assert found.code == 2
    facts = [
        '"push" by push, and its files are for sms',
        'sends "mail", and there is no folder of that name',
        'sms.provider is "none", while flow "orders" sends "text" by sms',
        'push.provider is "none", while flow "orders" sends "push" by push',
        'sends "to_crm" to "crm", which is not there',
    ]
    assert [fact for fact in facts if fact not in found.err] == []
    assert f"{len(facts)} faults." in found.err


def test_check_counts_what_a_text_message_costs(tmp_path: Path) -> None:
    shop(tmp_path, FLOWS, sms__on_its_way="Zamówienie {{ order_id }} w drodze")
    settings = '[sms]\nprovider = "json"\nsender = "Shop"\nurl = "https://sms.example"\n'
    (tmp_path / "impuls.toml").write_text(f'flows = "shop_flows"\n{settings}')
    found = impuls("check", "--config", tmp_path / "impuls.toml", path=tmp_path)
    assert found.code == 0, found.err
    assert "sms on_its_way (en): 1 segment, 20 places of UCS-2 because of 'ó'" in found.out
