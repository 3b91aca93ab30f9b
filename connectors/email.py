"""The e-mail channel: renders a message, composes the mail with its unsubscribe link, hands it over by SMTP."""

from __future__ import annotations

import time
from collections.abc import Callable

from config.settings import Smtp
from connectors.answer import Answer
from connectors.links import Links
from connectors.mail import BadAddress, BadHeader, Composer, Mail
from connectors.smtp import SmtpSender
from connectors.templates import RenderError, Templates
from connectors.tokens import Tokens
from state.messages import Message


class EmailProvider:
    """`connectors.lanes.Provider` for e-mail.  `public_url` is where the links in mails point."""

    name = "smtp"

    def __init__(
        self,
        settings: Smtp,
        templates: Templates,
        tokens: Tokens,
        public_url: str,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._sender = SmtpSender(settings)
        self._composer = Composer(settings.sender)
        self._templates, self._wall = templates, wall
        self._links = Links(tokens, public_url, self._composer.sender_name, wall)

    @property
    def shop_name(self) -> str:
        return self._composer.sender_name

    async def deliver(self, message: Message) -> Answer:
        mail = self._mail(message)
        return mail if isinstance(mail, Answer) else await self._sender.send(mail)

    def _mail(self, message: Message) -> Mail | Answer:
        """The mail, or why there is none: whatever goes wrong here, nobody was called yet."""
        content = self._links.content(message)
        try:
            rendered = self._templates.render(message.template, content, message.locale)
            return self._composer.compose(
                to=message.address,
                rendered=rendered,
                message_id=message.message_id,
                date=self._wall(),
                unsubscribe_url=content["unsubscribe_url"] or None,
            )
        except RenderError as error:
            return Answer("no_content", str(error))
        except BadAddress:
            return Answer("refused", "bad_address", permanent_address=True)
        except BadHeader:
            return Answer("refused", "bad_header")

    async def close(self) -> None:
        await self._sender.close()
