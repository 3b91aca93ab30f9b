"""Messages on all channels, from an event to a provider's door: `impuls run` as people run it."""

from __future__ import annotations

import base64
from pathlib import Path

from tests.connectors.http_servers import Asked, Says, Site, http_server
from tests.connectors.mail_servers import Mailbox, mail_server
from tests.flows.commands import ROOT, asked
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


def test_a_message_goes_the_first_way_that_reaches_her_and_the_crm_is_told_either_way(tmp_path: Path) -> None:
    """Anna's telephone is gone, so she gets a text; Berta's takes it; Cyryl has nothing but an e-mail address."""

    def pushes(asked: Asked) -> Says:
        return Says(410 if asked.json["device"] == "annas-old-telephone" else 200)

    push, sms, crm, mailbox = Site(pushes), Site(), Site(), Mailbox()
    shop(tmp_path, ALL, **WORDS)
    with (
        http_server(push) as a,
        http_server(sms) as b,
        http_server(crm) as c,
        mail_server(mailbox) as d,
    ):
        settings = f'''flows = "shop_flows"
{NO_LIMITS}
[smtp]
port = {d}
[sms]
provider = "twilio"
url = "http://127.0.0.1:{b}"
account = "AC0"
token = "x"
sender = "+48600000000"
[push]
provider = "json"
url = "http://127.0.0.1:{a}/push"
[webhook]
endpoints = {{ crm = "http://127.0.0.1:{c}/orders" }}
secrets = ["{SECRET}"]
https_only = false
private_networks = ["127.0.0.0/8"]'''
        with running(tmp_path, settings=settings, PYTHONPATH=f"{ROOT}:{tmp_path}") as deployment:
            bought = {"products": [{"product_id": "p1"}]}
            deployment.import_events(
                identify("anna", ago(2 * HOUR), phone="+48600100200"),
                track("anna", ago(2 * HOUR), "Device Registered", token="annas-old-telephone"),
                identify("berta", ago(2 * HOUR), phone="+48600100201"),
                track("berta", ago(2 * HOUR), "Device Registered", token="bertas-telephone"),
                identify("cyryl", ago(2 * HOUR)),
                *(track(who, ago(HOUR), "Order Completed", order_id=f"of-{who}", **bought) for who in NAMES),
            )
            assert until(lambda: len(crm.asked) == 3 and len(sms.asked) == 1 and len(mailbox.taken) == 1), (
                deployment.log()
            )
            ways = {
                # A set: decisions of one instant stand in the order of their ids, which a new secret keys.
                who: {
                    (row["message"], row["outcome"], row.get("reason", ""), row.get("replaced_by", ""))
                    for row in deployment.decisions("--customer", who)
                    if row["message"] != "to_crm"
                }
                for who in NAMES
            }
            [anna] = asked("customer", "anna", "--json", "--config", deployment.config, path=tmp_path).lines()
            secrets = deployment.impuls("webhook-secrets", "http://partner.example/hooks")
            assert deployment.stop() == 0, deployment.log()
            told = deployment.log()
    assert ways["anna"] == {
        ("push", "send", "", ""),
        ("push", "replace", "refused", "text"),
        ("text", "send", "", ""),
    }
    assert ways["berta"] == {("push", "send", "", "")}
    assert ways["cyryl"] == {
        ("push", "replace", "no_address", "text"),
        ("text", "replace", "no_address", "mail"),
        ("mail", "send", "", ""),
    }
    assert anna["devices"] == 0
    assert {each.json["data"]["order_id"] for each in crm.asked} == {f"of-{who}" for who in NAMES}
    assert secrets.code == 0
    assert secrets.out.startswith("whsec_")
    assert not [word for word in ("600100200", "telephone", "example.invalid", "of-anna") if word in told]


NAMES = ("anna", "berta", "cyryl")


def test_check_says_what_flows_send_and_nobody_takes_or_words(tmp_path: Path) -> None:
    shop(tmp_path, ALL, sms__push="files of another channel", sms__text="Dziękujemy {{ order_id }}")
    (tmp_path / "impuls.toml").write_text('flows = "shop_flows"\n')
    found = asked("check", "--config", tmp_path / "impuls.toml", path=tmp_path)
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
    found = asked("check", "--config", tmp_path / "impuls.toml", path=tmp_path)
    assert found.code == 0, found.err
    assert "sms on_its_way (en): 1 segment, 20 places of UCS-2 because of 'ó'" in found.out


def test_check_says_what_is_sent_only_with_recommendations_that_nobody_makes(tmp_path: Path) -> None:
    flows = FLOWS.replace('channel="sms", ', 'channel="sms", recommends=recommend("discover", 2), ')
    shop(tmp_path, flows.replace("Template, on,", "Template, on, recommend,"), sms__on_its_way="Order {{ order_id }}")
    settings = '[sms]\nprovider = "json"\nsender = "Shop"\nurl = "https://sms.example"\n'
    (tmp_path / "impuls.toml").write_text(f'flows = "shop_flows"\n{settings}[recommender]\nenabled = false\n')
    found = asked("check", "--config", tmp_path / "impuls.toml", path=tmp_path)
    assert found.code == 2
    assert 'recommender.enabled is false, while flow "dispatch" sends "on_its_way" only with' in found.err
