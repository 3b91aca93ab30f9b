"""The e-mail channel: renders a message, composes the mail with its unsubscribe link, hands it over by SMTP."""

from __future__ import annotations

import time
from collections.abc import Callable

from config.settings import MailServer, Smtp
from connectors.answer import Answer
from connectors.links import Links
from connectors.mail import BadAddress, BadHeader, Composer, Mail
from connectors.smtp import SmtpSender
from connectors.templates import RenderError, Templates
from connectors.tokens import Tokens
from state.messages import Message


class EmailProvider:
    """`connectors.lanes.Provider` for e-mail.

    `public_url` is where the links in mails point; `backup` takes mails while the first server is not there.
    """

    name = "smtp"

    def __init__(
        self,
        settings: Smtp,
        templates: Templates,
        tokens: Tokens,
        public_url: str,
        wall: Callable[[], float] = time.time,
        backup: MailServer | None = None,
    ) -> None:
        self._sender = SmtpSender(settings)
        self._backup = SmtpSender(backup) if backup is not None else None
        self._composer = Composer(settings.sender)
        self._templates, self._wall = templates, wall
        self._links = Links(tokens, public_url, self._composer.sender_name, wall)

    @property
    def shop_name(self) -> str:
        return self._composer.sender_name

    async def deliver(self, message: Message) -> Answer:
        mail = self._mail(message)
        return mail if isinstance(mail, Answer) else await self._send(mail)

    async def _send(self, mail: Mail) -> Answer:
        """By the first server; by the second where the first certainly has not got it and is not there."""
        answer, reached = await self._sender.attempt(mail)
        if reached or answer.result != "deferred" or self._backup is None:
            return answer
        second, reached = await self._backup.attempt(mail)
        if reached or second.result != "deferred":
            return second._replace(provider="smtp_backup")
        return answer._replace(retry_after_seconds=min(answer.retry_after_seconds, second.retry_after_seconds))

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
        if self._backup is not None:
            await self._backup.close()
