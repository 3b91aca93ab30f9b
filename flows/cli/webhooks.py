"""`impuls webhook-secrets URL`: what the owner of an address needs in order to know our webhooks for ours."""

from __future__ import annotations

from typing import Annotated

import typer

from flows.cli.options import Config, audit, fail, settings_of


def webhook_secrets(
    url: Annotated[str, typer.Argument(help="An address that flows find in data; not one of [webhook] endpoints.")],
    config: Config = None,
) -> None:
    """The secrets that sign webhooks to a web address; the newest first."""
    # Not loaded by other commands: the HTTP client takes a quarter of a second.
    from connectors.network import BadUrl, target
    from connectors.webhook import derived, secret_bytes, secret_text

    settings = settings_of(config)
    webhook = settings.webhook
    if not webhook.secrets:
        raise fail("webhook.secrets is empty. Set IMPULS_WEBHOOK__SECRETS or IMPULS_WEBHOOK__SECRETS_FILE.", 2)
    try:
        _, origin = target(url, https_only=webhook.https_only)
    except BadUrl as error:
        raise fail(f"{url}: {error}. Something like https://partner.example/hooks will do.", 2) from None
    audit(settings, "webhook-secrets")
    for secret in webhook.secrets:
        print(secret_text(derived(secret_bytes(secret), origin)))
