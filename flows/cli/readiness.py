"""Whether a deployment has what its flows send: words for every message, and somebody who takes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from config.settings import Settings
from connectors.segments import length
from connectors.template_files import FORMS
from connectors.templates import TemplateFaults, Templates
from flows.catalog import Catalog
from operators.flow import Template
from operators.program import templates as templates_of


def what_is_missing(settings: Settings, catalog: Catalog) -> list[str]:
    """Each fault with its place, the fact and the way out."""
    needed = _needed(catalog)
    faults = words_missing(catalog)
    faults += _capped_nothing(settings, catalog)
    if settings.send.mode != "mute":
        sends: dict[str, tuple[str, str]] = {t.channel: (flow, t.name) for flow, t in reversed(needed.values())}
        faults += _providers_missing(settings, sends)
        faults += _targets_missing(settings, needed.values())
        faults += _service_account(settings)
        faults += _nobody_recommends(settings, needed.values())
    return faults


def words_missing(catalog: Catalog) -> list[str]:
    """What is wrong with the templates' files, whatever the settings."""
    try:
        found = Templates.load(catalog.templates)
    except TemplateFaults as error:
        return [str(fault) for fault in error.faults]
    return [
        fault
        for _, (flow, template) in sorted(_needed(catalog).items())
        for fault in _words_missing(found, catalog, flow, template)
    ]


def _needed(catalog: Catalog) -> dict[str, tuple[str, Template[Any]]]:
    """Each message by its name, with a flow that sends it."""
    return {t.name: (flow.name, t) for flow in catalog.program.all for t in templates_of(flow.steps)}


def _capped_nothing(settings: Settings, catalog: Catalog) -> Iterator[str]:
    """Caps by names that no flow or message has, which would protect nobody."""
    topics = {t.topic for flow in catalog.program.all for t in templates_of(flow.steps) if t.kind == "marketing"}
    for part, known in (("flow", set(catalog.program.by_name)), ("topic", topics)):
        for name in settings.guards.caps.get(part, {}):
            if name not in known:
                near = get_close_matches(name, known, 1)
                way_out = f'Did you mean "{near[0]}"?' if near else f"There are {', '.join(sorted(known)) or 'none'}."
                yield f'guards.caps.{part}.{name}: there is no {part} "{name}" that a message could be of. {way_out}'


def _words_missing(found: Templates, catalog: Catalog, flow: str, template: Template[Any]) -> Iterator[str]:
    form = FORMS.get(template.channel)
    if form is None:
        return  # a webhook's words are its content
    name, channel = template.name, template.channel
    files = " and ".join(form[part] for part in form if part not in ("html", "mjml", "link"))
    if name not in found.names:
        yield (
            f'{catalog.templates}: flow "{flow}" sends "{name}", and there is no folder of that name. Make it, with '
            f"{files} in it."
        )
    elif (other := found.channel(name)) != channel:
        yield (
            f'{catalog.templates / name}: flow "{flow}" sends "{name}" by {channel}, and its files are for {other}. '
            f"Write {files}, or change the message's channel."
        )


def _providers_missing(settings: Settings, sends: dict[str, tuple[str, str]]) -> Iterator[str]:
    there = {"sms": settings.sms.provider, "push": settings.push.provider}
    for channel, provider in there.items():
        if channel in sends and provider == "none":
            flow, name = sends[channel]
            yield (
                f'{channel}.provider is "none", while flow "{flow}" sends "{name}" by {channel}. '
                f"Name who takes it in [{channel}]."
            )


def _nobody_recommends(settings: Settings, sends: Iterable[tuple[str, Template[Any]]]) -> Iterator[str]:
    for flow, template in sends:
        if template.recommends is not None and template.recommends.at_least and not settings.recommender.enabled:
            yield (
                f'recommender.enabled is false, while flow "{flow}" sends "{template.name}" only with recommendations. '
                "Set it to true, or ask for at_least=0 of them."
            )


def _targets_missing(settings: Settings, sends: Iterable[tuple[str, Template[Any]]]) -> Iterator[str]:
    webhook = settings.webhook
    for flow, template in sends:
        if template.channel != "webhook":
            continue
        if isinstance(template.to, str) and template.to not in webhook.endpoints:
            yield (
                f'webhook.endpoints: flow "{flow}" sends "{template.name}" to "{template.to}", which is not there. '
                f"There are {', '.join(sorted(webhook.endpoints)) or 'none'}."
            )
        elif not webhook.secrets:
            yield (
                f'webhook.secrets is empty, while flow "{flow}" sends "{template.name}". '
                "Set IMPULS_WEBHOOK__SECRETS or IMPULS_WEBHOOK__SECRETS_FILE."
            )


def _service_account(settings: Settings) -> Iterator[str]:
    file = settings.push.service_account_file
    if settings.push.provider == "fcm" and file is not None:
        # Not loaded by commands that need no HTTP: its client takes a quarter of a second.
        from connectors.fcm import BadServiceAccount, ServiceAccount

        try:
            ServiceAccount.load(file)
        except BadServiceAccount as error:
            yield f"push.service_account_file names {file}, but {error}. Take the key file from Firebase's console."


def text_lengths(settings: Settings, catalog: Catalog) -> list[str]:
    """How long the text messages are without what is filled in, which is what they cost at least."""
    found = Templates.load(catalog.templates)
    lines = []
    for name, locale, text in found.texts("sms"):
        size = length(text)
        because = f" because of {size.strange!r}" if size.strange else ""
        segments = "1 segment" if size.segments == 1 else f"{size.segments} segments"
        lines.append(
            f"sms {name} ({locale}): {segments}, {size.places} places of {size.alphabet}{because}, before anything is "
            f"filled in; at most {settings.sms.segments_max} are sent."
        )
    return lines
