"""The flow of the steady load's mails, and one that tells another system of every cart that changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import flows
from flows.messages import cart_content
from flows.welcome import welcome
from operators.flow import Flow, Template, on, send
from state.carts import CartChanged

TEMPLATES = Path(flows.__file__).parent / "templates"

to_crm = Template("to_crm", cart_content, channel="webhook", kind="transactional", to="crm")
told = Flow("told", enter=on(CartChanged), steps=[send(to_crm)])
FLOWS: list[Flow[Any]] = [welcome, told]
