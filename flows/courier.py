"""A courier process: the providers of all channels, and the loop that calls them."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from config.settings import Settings
from connectors.courier import Courier
from connectors.email import EmailProvider
from connectors.lanes import Provider, calls_per_target
from connectors.links import Links
from connectors.templates import Templates
from connectors.tokens import Tokens
from flows import worker_doors as doors
from flows.catalog import load
from flows.courier_choosing import Choosing
from flows.worker_process import METRICS_BEATS, Beat, prepare, settings_for, told_by_supervisor
from state.ids import Ids
from state.messages import MESSAGES
from state.secret import load_or_make

log = logging.getLogger("impuls.courier")


async def work(settings: Settings, courier: int, couriers: int) -> None:
    """Be courier number `courier` of so many, until told to stop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    secret = load_or_make(settings.secret_file, settings.data_dir)
    reader, writer = doors.open_reader(settings, doors.COURIERS), doors.open_writer(settings)
    mine = [partition for partition in reader.partitions(MESSAGES) if partition % couriers == courier]
    catalog = load(settings.flows)
    providers = providers_of(settings, Templates.load(catalog.templates), Tokens(secret))
    log.info("started", extra={"courier": courier, "partitions": mine})
    beat = asyncio.create_task(_beat(settings, courier))
    with TemporaryDirectory(prefix="impuls-courier-") as scratch:
        choosing = Choosing(settings, writer, Path(scratch), catalog.rules) if settings.recommender.enabled else None
        await Courier(
            reader,
            writer,
            providers,
            mine,
            Ids(secret),
            concurrency=settings.courier.concurrency,
            choose=choosing,
            fileno=reader.fileno(),
        ).run(stop)
        if choosing is not None:
            choosing.close()
    beat.cancel()
    Beat(settings.data_dir, f"courier-{courier}").tell({})
    writer.close()
    reader.close()
    log.info("drained", extra={"courier": courier})


def providers_of(settings: Settings, templates: Templates, tokens: Tokens) -> dict[str, Provider]:
    """Who brings messages to customers, by channel.  The HTTP client is loaded where one needs it: it takes a while."""
    backup = settings.smtp_backup if settings.smtp_backup.host else None
    email = EmailProvider(settings.smtp, templates, tokens, settings.public_url, backup=backup)
    links = Links(tokens, settings.public_url, email.shop_name)
    providers: dict[str, Provider] = {"email": email}
    if settings.sms.provider != "none":
        from connectors.sms import SmsProvider

        providers["sms"] = SmsProvider(settings.sms, templates, links, settings.courier.concurrency)
    if settings.push.provider != "none":
        from connectors.push import PushProvider

        providers["push"] = PushProvider(settings.push, templates, links, settings.courier.concurrency)
    if settings.webhook.secrets:
        from connectors.webhook import WebhookProvider

        providers["webhook"] = WebhookProvider(settings.webhook, calls_per_target(settings.courier.concurrency))
    return providers


async def _beat(settings: Settings, courier: int) -> None:
    beat = Beat(settings.data_dir, f"courier-{courier}")
    for number in count():
        beat.tell({"at_wall": time.time()}, metrics=number % METRICS_BEATS == 0)
        await asyncio.sleep(1)


def main() -> None:
    """`python -m flows.courier {"config": …, "courier": 0, "couriers": 1}`: the supervisor's way to start one."""
    told = told_by_supervisor()
    prepare(f"courier-{told['courier']}")
    asyncio.run(work(settings_for(told["config"]), told["courier"], told["couriers"]))


if __name__ == "__main__":
    main()
