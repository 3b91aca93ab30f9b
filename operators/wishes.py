"""A message that a flow wants, as it is before any guard was asked."""

from __future__ import annotations

from operators.journey import Intent
from state.ids import Ids
from state.passages import Passage, Pending


def wish_of(ids: Ids, passage: Passage, intent: Intent, moment: int) -> Pending:
    chosen = intent.chosen
    return Pending(
        message_id=ids.message(passage.id, intent.step),
        flow=passage.flow,
        subject=passage.subject,
        passage=passage.id,
        entered_at=passage.entered_at,
        step=intent.step,
        wait=intent.wait,
        template=intent.template.name,
        channel=intent.template.channel,
        kind=intent.template.kind,
        event=passage.event,
        at=moment,
        decisions=0,
        due=moment,
        experiment=chosen.experiment if chosen else "",
        arm=chosen.arm if chosen else "",
        propensity=chosen.propensity if chosen else None,
        otherwise=intent.otherwise,
        shares=chosen.shares if chosen else 0,
        context=chosen.context if chosen else "",
    )
