"""Who opened a mail, and who clicked in it: a person, or a machine on the way to her?

A machine fetches pictures and follows links of mails that nobody has read.  It is known by any of:

- its user agent: the picture proxies of Gmail, Yahoo and Apple (which fetch ahead, or hide who looked and when), link
  scanners of mail security, previews, bots and HTTP libraries;
- speed: less than a second after the provider accepted the mail;
- thoroughness: three different links of one mail within ten seconds.

Where a machine was first, what a person does afterwards still counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from operators.measuring.rows import Engaged

READ_MS_MIN = 1_000
LINKS_MIN = 3
BURST_MS = 10_000

_MACHINES = re.compile(
    r"GoogleImageProxy|ggpht\.com|YahooMailProxy|YahooCacheSystem|"  # picture proxies
    r"Microsoft Office Existence Discovery|BingPreview|SafeLinks|"  # not Outlook itself, whose word is "ms-office"
    r"Barracuda|Mimecast|Proofpoint|urldefense|FireEye|Trend ?Micro|Symantec|MessageLabs|IronPort|Sophos|Forcepoint|"
    r"HeadlessChrome|PhantomJS|"
    r"\w*(?:(?<!cu)bot|crawler|spider|scanner|preview)\b|"  # Cubot makes telephones
    r"^(?:curl|wget|python|python-requests|python-urllib|Java|okhttp|Go-http-client|Apache-HttpClient|libwww-perl|"
    r"node-fetch|axios|Ruby|PHP)\b",
    re.IGNORECASE,
)
_APPLE_PROXY = "Mozilla/5.0"  # all that Apple's Mail Privacy Protection says of itself


def is_machine(user_agent: str) -> bool:
    """Whether a user agent is one of a proxy, a scanner or a library; one that says nothing is taken for a person."""
    return user_agent.strip() == _APPLE_PROXY or _MACHINES.search(user_agent) is not None


def by_people(engaged: Sequence[Engaged], accepted_at: int | None) -> list[bool]:
    """Of the opens and clicks of one message, in order of time, which are a person's."""
    burst = _bursts(engaged)
    return [
        not (is_machine(each.user_agent) or number in burst or _too_soon(each.at, accepted_at))
        for number, each in enumerate(engaged)
    ]


def _too_soon(at: int, accepted_at: int | None) -> bool:
    return accepted_at is not None and 0 <= at - accepted_at < READ_MS_MIN


def _bursts(engaged: Sequence[Engaged]) -> set[int]:
    """The clicks that lie within ten seconds of clicks on enough other links."""
    clicks = [number for number, each in enumerate(engaged) if each.what == "clicked"]
    found = set[int]()
    first = 0
    for last, number in enumerate(clicks):
        while engaged[number].at - engaged[clicks[first]].at > BURST_MS:
            first += 1
        within = clicks[first : last + 1]
        if len({engaged[each].url for each in within}) >= LINKS_MIN:
            found.update(within)
    return found
