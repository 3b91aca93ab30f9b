"""What messages would say: their templates filled in as a courier does it, and nobody called."""

from __future__ import annotations

from msgspec import json

from config.settings import Settings
from connectors.links import Links
from connectors.mail import Composer
from connectors.templates import RenderError, Templates
from connectors.tokens import Tokens
from flows.catalog import Catalog
from state.messages import Message

UNKEYED = b"nobody follows these links"  # no secret is made where nothing has run yet


class Unwritten(Exception):
    """A message that cannot be written would be decided `no_content`; names the message, the place and the fact."""


class Writer:
    """Raises `TemplateFaults` where templates cannot be read."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._templates = Templates.load(catalog.templates)
        self._links = Links(Tokens(UNKEYED), settings.public_url, Composer(settings.smtp.sender).sender_name)

    def write(self, message: Message) -> dict[str, str]:
        """The words of a message, by their part; none where only a courier knows them.  Raises `Unwritten`."""
        waits_for_products = message.wanted is not None and message.wanted.at_least > 0
        if message.channel == "webhook" or message.template not in self._templates.names or waits_for_products:
            return {}
        content = self._links.content(message)
        try:
            if message.channel == "email":
                mail = self._templates.render(message.template, content, message.locale)
                return {"subject": mail.subject, "text": mail.text}
            return self._templates.words(message.template, message.channel, content, message.locale)
        except RenderError as error:
            raise Unwritten(
                f"{message.template} cannot be written, so it would be skipped (no_content): {error}. Correct the "
                "file, or the function that makes its content."
            ) from error


def unsaid(message: Message) -> str:
    """In place of the words of a message that has none here."""
    if message.channel == "webhook":
        return json.format(json.encode(message.content)).decode()
    if message.wanted is not None:
        return f"With {message.wanted.at_least} products or more, which are chosen when it is sent; else no_content."
    return "There is no template of this name."
