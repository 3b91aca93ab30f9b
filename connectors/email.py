"""The e-mail channel: renders a message, composes the mail with its unsubscribe link, hands it over by SMTP."""

from __future__ import annotations

import time
from collections.abc import Callable

from config.settings import Smtp
from connectors.mail import BadAddress, BadHeader, Composer, Mail
from connectors.smtp import Answer, SmtpSender
from connectors.templates import RenderError, Templates
from connectors.tokens import Tokens, UnsubscribeToken
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
        self._templates, self._tokens, self._wall = templates, tokens, wall
        self._public_url = public_url.rstrip("/")

    async def deliver(self, message: Message) -> Answer:
        mail = self._mail(message)
        return mail if isinstance(mail, Answer) else await self._sender.send(mail)

    def _mail(self, message: Message) -> Mail | Answer:
        """The mail, or why there is none: whatever goes wrong here, nobody was called yet."""
        link = self._unsubscribe_url(message) if message.kind == "marketing" else None
        ours = {"unsubscribe_url": link or "", "shop_url": self._public_url, "shop_name": self._composer.sender_name}
        try:
            rendered = self._templates.render(message.template, {**message.content, **ours}, message.locale)
            return self._composer.compose(
                to=message.address,
                rendered=rendered,
                message_id=message.message_id,
                date=self._wall(),
                unsubscribe_url=link,
            )
        except RenderError as error:
            return Answer("no_content", str(error))
        except BadAddress:
            return Answer("refused", "bad_address", permanent_address=True)
        except BadHeader:
            return Answer("refused", "bad_header")

    async def close(self) -> None:
        await self._sender.close()

    def _unsubscribe_url(self, message: Message) -> str:
        token = self._tokens.seal(
            UnsubscribeToken(message.customer, message.channel, message.topic, message.message_id, round(self._wall()))
        )
        return f"{self._public_url}/u/{token}"
