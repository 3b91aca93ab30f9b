"""A customer's story as text: a line for each thing that happened, in colour on a terminal.

What the lines are made of is `operators.trace`; `--json` prints those as they are.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.text import Text

from operators.trace import Entry, to_json

_LEFT = 11
_HEARD = frozenset({"event", "duplicate"})
_OUTCOME_STYLES = {"send": "bold green", "skip": "bold red", "defer": "bold yellow", "replace": "bold yellow"}
_RESULT_STYLES = {"accepted": "bold green", "refused": "bold red", "started": "dim"}
_REFUSED = {
    "nobody": "such an id stands for nobody",
    "known": "that id is a known customer's",
    "is_alias": "she is an alias herself",
    "shared": "too many customers use that id",
}
_STORED = {
    "differs": "the store holds",
    "missing": "not in the store",
    "no_longer_kept": "decisions of that time are no longer kept",
}


def print_json(entries: Sequence[Entry]) -> None:
    for entry in entries:
        sys.stdout.write(to_json(entry).decode() + "\n")


class Timeline:
    """Prints entries with times in one zone.  `everything` also shows events that no flow heard, one by one."""

    def __init__(self, time_zone: str, *, everything: bool = False, since: int | None = None) -> None:
        self._zone = ZoneInfo(time_zone or "UTC")
        self._everything, self._since = everything, since
        self._console = Console(highlight=False, soft_wrap=True)
        self._day = self._clock = ""
        self._days = 0

    def print(self, entries: Sequence[Entry]) -> None:
        for group in _groups(entries):
            if not self._everything and len(group) > 1 and all(entry.what in _HEARD for entry in group):
                self._unheard(group)
            elif group[0].what == "guard":
                self._guards(group)
            else:
                for entry in group:
                    self._entry(entry)

    def say(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style=style))

    def when(self, at: int) -> str:
        """A moment with as much of its day as the last line leaves open."""
        local = self._local(at)
        return self._clock_of(local) if local.strftime("%Y-%m-%d") == self._day else self._with_day(local)

    def apart(self, at: int) -> str:
        """A moment for what does not stand among the lines: with its day, where they are of several."""
        local = self._local(at)
        return self._with_day(local) if self._days > 1 else self._clock_of(local)

    def _with_day(self, local: datetime) -> str:
        same_year = self._day.startswith(f"{local.year}-") or not self._day
        return f"{local.strftime('%a %-d %b' if same_year else '%a %-d %b %Y')} {self._clock_of(local)}"

    @staticmethod
    def _clock_of(local: datetime) -> str:
        return local.strftime("%H:%M:%S" if local.second else "%H:%M")

    def _local(self, at: int) -> datetime:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)).astimezone(self._zone)

    def _line(self, at: int, text: Text, *, first: bool = False) -> None:
        local = self._local(at)
        day, clock = local.strftime("%Y-%m-%d"), local.strftime("%H:%M:%S")
        if day != self._day:
            self._day, self._clock = day, ""
            self._days += 1
            zone = f"  {self._zone.key}"
            self._console.print(Text(f"\n{local.strftime('%A, %-d %B %Y')}", "bold underline") + Text(zone, "dim"))
        shown = clock if clock != self._clock or first else ""
        self._clock = clock
        since = f" +{_short(at - self._since)}" if shown and self._since is not None else ""
        left = f" {shown}{since}"
        width = _LEFT + (9 if self._since is not None else 0)
        self._console.print(Text(left.ljust(width), "cyan") + text)

    def _unheard(self, group: Sequence[Entry]) -> None:
        names = Counter(entry.name for entry in group)
        told = ", ".join(f"{name} × {count}" if count > 1 else name for name, count in names.most_common())
        self._line(group[0].at, Text(f"{len(group)} events that moved no flow: {told}", "dim"), first=True)

    def _guards(self, group: Sequence[Entry]) -> None:
        line = Text("    ")
        for entry in group:
            mark, style = {"pass": ("✓", "green"), "not asked": ("–", "dim")}.get(entry.verdict, ("✗", "red"))
            line += Text(f"{mark} {entry.name} ", style)
        line.rstrip()
        self._line(group[0].at, line)
        for entry in group:
            if entry.verdict not in ("pass", "not asked"):
                until = f" until {self.when(entry.until)}" if entry.until else ""
                said = f"    {entry.name}: {entry.detail + ', so ' if entry.detail else ''}{entry.verdict}{until}"
                self._line(entry.at, Text(said, "red" if entry.verdict == "skip" else "yellow"))

    def _entry(self, entry: Entry) -> None:
        tell = _TELLERS.get(entry.what)
        text = tell(entry, self) if tell else Text(f"{entry.what} {entry.name} {entry.detail}")
        self._line(entry.at, text, first=entry.what in ("event", "delivery", "wait_ended"))


def _groups(entries: Sequence[Entry]) -> Iterator[list[Entry]]:
    """Guards of one message together; events that nothing followed from together; all else alone."""
    group: list[Entry] = []
    group_kind = ""
    for place, entry in enumerate(entries):
        following = entries[place + 1] if place + 1 < len(entries) else None
        quiet = entry.what in _HEARD and (following is None or following.what in _HEARD or _is_new(following))
        kind = "quiet" if quiet else "guard" if entry.what == "guard" else ""
        if group and (not kind or kind != group_kind or entry.message_id != group[-1].message_id):
            yield group
            group = []
        group.append(entry)
        group_kind = kind
    if group:
        yield group


def _is_new(entry: Entry) -> bool:
    return entry.what in ("wait_ended", "looked_again", "delivery", "given_up", "rests", "difference", "note")


def _short(ms: int) -> str:
    minutes, days = ms // 60_000, ms // 86_400_000
    hours, minutes = minutes // 60 % 24, minutes % 60
    parts = (f"{days}d" if days else "", f"{hours}h" if hours else "", f"{minutes}m" if minutes else "")
    return "".join(parts) or "0"


def _place(entry: Entry) -> Text:
    name = f"  {entry.flow} {entry.subject}".rstrip()
    return Text(name, "magenta") + Text(" · ")


def _event(entry: Entry, _: Timeline) -> Text:
    where = "" if entry.topic == "simulation" else f"  {entry.topic}/{entry.partition}@{entry.offset}"
    again = Text(" came again, counted once", "dim") if entry.what == "duplicate" else Text("")
    return Text(entry.name, "bold") + Text(f"  {entry.detail}" if entry.detail else "") + again + Text(where, "dim")


def _held(entry: Entry, timeline: Timeline) -> Text:
    text = f"{entry.name} held until the wait before it ends ({timeline.when(entry.until)})"
    return Text(text, "dim")


def _alias(words: str, style: str = "bold") -> Callable[[Entry, Timeline], Text]:
    """Words about another id of hers, which is the name of the entry."""

    def tell(entry: Entry, _: Timeline) -> Text:
        why = _REFUSED.get(entry.reason, entry.reason)
        return Text("  " + words.format(name=entry.name, detail=entry.detail, why=why), style)

    return tell


def _forwarded(entry: Entry, _: Timeline) -> Text:
    return Text(f"{entry.name} went on to who she is by now{': ' if entry.reason else ''}{entry.reason}", "dim")


def _rejected(entry: Entry, _: Timeline) -> Text:
    where = f"  {entry.topic}/{entry.partition}@{entry.offset}"
    return Text(f"set aside: {entry.reason}", "red") + Text(f"  {entry.detail}") + Text(where, "dim")


def _condition(entry: Entry, _: Timeline) -> Text:
    said = {True: ("true", "green"), False: ("false", "yellow"), None: (f"raised {entry.detail}", "red")}[entry.value]
    role = "" if entry.role == "split" else f" ({entry.role})"
    return Text(f"    {entry.name}{role} is ") + Text(*said)


def _arm(entry: Entry, _: Timeline) -> Text:
    return Text(f"    experiment {entry.name}: arm {entry.detail} ({entry.reason})")


def _moment(entry: Entry, timeline: Timeline) -> Text:
    by = f" ({entry.detail})" if entry.detail else ""
    return Text(f"    {entry.name} is {timeline.when(entry.until)}{by}")


def _decision(entry: Entry, timeline: Timeline) -> Text:
    style = _OUTCOME_STYLES.get(entry.outcome, "")
    until = f" until {timeline.when(entry.until)}" if entry.until else ""
    why = f": {entry.reason}" if entry.reason else ""
    mark = "●" if entry.outcome == "send" else "○"
    text = Text(f"  {mark} ", style) + Text(entry.message, "bold") + Text(f" {entry.outcome}{until}{why}", style)
    if entry.stored not in ("", "same"):
        text += Text(
            f"  ≠ {_STORED[entry.stored]} {entry.holds}".rstrip(),
            "dim" if entry.stored == "no_longer_kept" else "bold red",
        )
    return text


def _delivery(entry: Entry, _: Timeline) -> Text:
    style = _RESULT_STYLES.get(entry.outcome, "bold yellow")
    what = f"  {entry.message or entry.message_id} attempt {entry.attempt}: "
    nobody = Text(" (nobody waits for it any more)", "dim") if entry.reason == "not_awaited" else Text("")
    return Text(what) + Text(entry.outcome, style) + Text(f"  {entry.detail}", "dim") + nobody


def _error(entry: Entry, _: Timeline) -> Text:
    lines = entry.detail.splitlines()
    where = f" at {lines[-1].strip()}" if len(lines) > 1 else ""
    return _place(entry) + Text(f"set aside, its own code failed: {lines[0] if lines else ''}{where}", "bold red")


def _saying(words: str, style: str = "") -> Callable[[Entry, Timeline], Text]:
    """Words about a passage; `{name}` and the like are fields of the entry."""

    def tell(entry: Entry, timeline: Timeline) -> Text:
        fields = {name: getattr(entry, name) for name in ("name", "message", "reason", "attempt", "detail")}
        until = timeline.when(entry.until) if entry.until else ""
        said = words.format(**fields, until=until, also=f": {entry.detail}" if entry.detail else "")
        return _place(entry) + Text(said, style)

    return tell


def _note(entry: Entry, _: Timeline) -> Text:
    return Text(f"  {entry.detail}", "bold red" if entry.what == "difference" else "yellow")


_TELLERS: dict[str, Callable[[Entry, Timeline], Text]] = {
    "event": _event,
    "duplicate": _event,
    "held": _held,
    "forwarded": _forwarded,
    "claims": _alias("says that she was {name} before"),
    "joined": _alias("what was known of {name} is hers from here on ({detail}); explain {name} tells of it"),
    "became": _alias("from here on she is {name}; explain {name} goes on"),
    "claim_refused": _alias("not taken for {name}: {why}", "yellow"),
    "rejected": _rejected,
    "not_taken": _saying("{name} is in the log and not yet taken in by a worker", "yellow"),
    "condition": _condition,
    "arm": _arm,
    "moment": _moment,
    "entered": _saying("entered", "bold"),
    "restarted": _saying("started over", "bold"),
    "not_entered": _saying("did not enter{also}", "dim"),
    "corrected": _saying("a late event corrected what {name} said"),
    "left": _saying("left because of {name}", "bold"),
    "withdrawn": _saying("{message} withdrawn because of {name}{also}", "bold"),
    "came": _saying("what {name} waited for has come"),
    "wait_ended": _saying("wait {name} ended{also}"),
    "looked_again": _saying("{message} looked at again ({reason}){also}"),
    "parked": _saying("waits at {name} until {until}"),
    "through": _saying("through", "dim"),
    "decision": _decision,
    "handed_on": _saying("{message} handed to a courier, attempt {attempt}", "dim"),
    "not_handed_on": _saying("{message} not handed to a courier: {detail}", "yellow"),
    "delivery": _delivery,
    "given_up": _saying("{message}: nobody told the result of attempt {attempt} in time: unknown, given up", "red"),
    "flow_error": _error,
    "given_back": _saying("given back from the dead letters ({name})"),
    "rests": _saying("{detail} ({until})", "bold yellow"),
    "note": _note,
    "difference": _note,
}
