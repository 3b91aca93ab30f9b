"""Reading a folder of templates: every file found, checked and compiled, and all that is wrong with them at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from babel import Locale
from jinja2 import BaseLoader, Environment, Template, TemplateNotFound, TemplateSyntaxError, meta, nodes
from mjml import mjml2html

from connectors.sandbox import BoundedEnvironment
from connectors.wording import FILTERS, locale_or_none
from state.messages import Channel

SHARED = "_shared"
FILE_BYTES_MAX = 256 * 1024
FORMS: Mapping[Channel, Mapping[str, str]] = {
    "email": {"subject": "subject.txt", "text": "body.txt", "mjml": "body.mjml", "html": "body.html"},
    "sms": {"text": "sms.txt"},
    "push": {"title": "push_title.txt", "text": "push_body.txt", "link": "push_link.txt"},
}
"""The files of a message on each channel, by the name of the part that they are."""
_NEEDED: Mapping[Channel, tuple[str, ...]] = {"email": ("subject", "text"), "sms": ("text",), "push": ("title", "text")}
_FILES = tuple(file for form in FORMS.values() for file in form.values())
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_SHARED_NAME = re.compile(r"[a-z0-9_-]+\.(txt|html|mjml)")
_DATA_IN_LINK = re.compile(r"\b(?:href|src|background|action)\s*=\s*[\"']?\s*\{\{(?P<expression>[^}]*)\}\}", re.I)
_SAFE_LINK = re.compile(r"\s*(unsubscribe_url|shop_url|.*\|\s*link(\s+or\s+shop_url)?)\s*")
_INCLUDE = re.compile(r"<mj-include\s+path\s*=\s*\"([^\"]*)\"\s*/>")


class Fault(NamedTuple):
    """One thing that is wrong with a template."""

    place: str
    fact: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.place}: {self.fact}. {self.way_out}"


class _Unfit(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Variant:
    """A template in one language; `formats` is the locale for the numbers of readers whose own is unknown."""

    channel: Channel
    parts: Mapping[str, Template]
    formats: Locale
    own_words: str  # of its text, without what is filled in


def read_all(folder: Path, default_locale: str) -> tuple[dict[str, dict[str, Variant]], list[Fault]]:
    """All templates of a folder by name and locale, and what is wrong with those that are missing from it."""
    found: dict[str, dict[str, Variant]] = {}
    faults: list[Fault] = []
    if not folder.is_dir():
        return found, faults
    rooms = _Rooms(folder, default_locale)
    for each in sorted(folder.iterdir()):
        if each.name.startswith((".", "__")) or each.name == SHARED or not each.is_dir():
            continue
        if not _NAME.fullmatch(each.name):
            faults.append(
                Fault(str(each), "this is no name for a template", "Use small letters, digits and _, a letter first.")
            )
            continue
        found[each.name] = {}
        for locale, place in _places(each, default_locale, faults):
            try:
                variant = rooms.compile(place, locale)
                if any(other.channel != variant.channel for other in found[each.name].values()):
                    raise _Unfit(
                        Fault(str(place), f"it is for {variant.channel}", "A message has one channel in all languages.")
                    )
                found[each.name][locale] = variant
            except _Unfit as unfit:
                faults.append(unfit.fault)
    return found, faults


def _places(folder: Path, default_locale: str, faults: list[Fault]) -> Iterator[tuple[str, Path]]:
    """The folders of a template's variants: itself, and one for each other locale."""
    yield default_locale, folder
    for each in sorted(folder.iterdir()):
        if each.name.startswith("."):
            continue
        if each.is_dir() and locale_or_none(each.name) is None:
            faults.append(Fault(str(each), "there is no such locale", 'Something like "pl" or "pt-BR" will do.'))
        elif each.is_dir():
            yield each.name.replace("_", "-"), each
            faults += _strangers(each)
    faults += _strangers(folder)


def _strangers(folder: Path) -> list[Fault]:
    return [
        Fault(str(each), "nobody reads this file", f"There are {', '.join(_FILES)}, and what is in {SHARED}.")
        for each in sorted(folder.iterdir())
        if each.is_file() and each.name not in _FILES and not each.name.startswith(".")
    ]


_EVERY: Mapping[Channel, str] = {
    "email": "Every mail has a subject and a text.",
    "sms": "A text message has a text.",
    "push": "A push message has a title and a body.",
}


def _channel(folder: Path) -> Channel:
    """Which channel the files of a folder are for: one, and mail where there are none."""
    there = [channel for channel, form in FORMS.items() if any((folder / name).is_file() for name in form.values())]
    if len(there) > 1:
        raise _Unfit(
            Fault(
                str(folder),
                f"there are files for {' and '.join(there)}",
                "A message has one channel: give each a folder of its own.",
            )
        )
    return there[0] if there else "email"


class _Rooms:
    """The environments in which templates are compiled: for each locale, one that escapes and one that does not."""

    def __init__(self, folder: Path, default_locale: str) -> None:
        self._folder, self._default = folder, default_locale
        self._made: dict[tuple[str, bool], BoundedEnvironment] = {}

    def compile(self, folder: Path, locale: str) -> Variant:
        formats = locale_or_none(locale)
        assert formats is not None
        channel = _channel(folder)
        files = {part: folder / name for part, name in FORMS[channel].items() if (folder / name).is_file()}
        for part in _NEEDED[channel]:
            if part not in files:
                name = FORMS[channel][part]
                raise _Unfit(Fault(str(folder), f"there is no {name}", f"{_EVERY[channel]}"))
        if "mjml" in files and "html" in files:
            raise _Unfit(Fault(str(folder), "there are both body.mjml and body.html", "Take one of them out."))
        parts: dict[str, Template] = {}
        for part, file in files.items():
            if part == "mjml":
                parts["html"] = self._mjml(file, locale)
            else:
                parts[part] = self._jinja(file, _text_of(file), locale, escapes=part == "html")
        return Variant(channel, parts, formats, self._own_words(_text_of(files["text"]), locale))

    def _environment(self, locale: str, *, escapes: bool) -> BoundedEnvironment:
        key = locale, escapes
        if key not in self._made:
            loader = _SharedFiles(self._shared(locale))
            self._made[key] = BoundedEnvironment(loader, FILTERS, autoescape=escapes)
        return self._made[key]

    def _shared(self, locale: str) -> Callable[[str], Path | None]:
        """Where a shared file of this name is for a reader of this locale."""
        language = locale.split("-")[0]
        places = [self._folder / SHARED / name for name in (locale, language) if name != self._default]
        places.append(self._folder / SHARED)

        def find(name: str) -> Path | None:
            if not _SHARED_NAME.fullmatch(name):
                return None
            return next((place / name for place in places if (place / name).is_file()), None)

        return find

    def _jinja(self, place: Path, source: str, locale: str, *, escapes: bool) -> Template:
        """Compile, and everything it includes too."""
        environment = self._environment(locale, escapes=escapes)
        if escapes:
            _check_links(place, source)
        try:
            for name in meta.find_referenced_templates(environment.parse(source)):
                if name is None:
                    raise _Unfit(Fault(str(place), "it includes a file by a name that is worked out", "Name the file."))
                environment.get_template(name)
            # With the file's name, so that what goes wrong when it is rendered can be told with its place.
            code = environment.compile(source, filename=str(place))
            return Template.from_code(environment, code, environment.make_globals(None))
        except TemplateSyntaxError as error:
            raise _Unfit(_syntax(Path(error.filename) if error.filename else place, error)) from error
        except TemplateNotFound as error:
            raise _Unfit(_not_shared(place, str(error.name), self._folder)) from error

    def _own_words(self, source: str, locale: str) -> str:
        parsed = self._environment(locale, escapes=False).parse(source)
        return "".join(each.data for each in parsed.find_all(nodes.TemplateData))

    def _mjml(self, place: Path, locale: str) -> Template:
        source = _text_of(place)
        environment = self._environment(locale, escapes=True)
        self._parse(place, source, environment)  # before it is compiled, while its lines are those of the file
        find = self._shared(locale)
        self._check_includes(place, source, find, environment)

        def inlined(found: re.Match[str]) -> str:
            shared = find(found[1])
            return _text_of(shared) if shared is not None else ""

        # By the compiler's own way of including, sections come out without the width of the mail.
        source = _INCLUDE.sub(inlined, source)
        try:
            html = mjml2html(source, disable_comments=True, fonts={})
        except ValueError as error:
            raise _Unfit(
                Fault(str(place), f"this is no MJML: {error}", "Close every tag, and write &lt; and &amp; for < and &.")
            ) from error
        if (stray := re.search(r"<(mj-[a-z-]+)", html)) is not None:
            raise _Unfit(Fault(str(place), f"MJML has no {stray[1]}", "See the list of its tags on mjml.io."))
        return self._jinja(place, html, locale, escapes=True)

    def _check_includes(
        self, place: Path, source: str, find: Callable[[str], Path | None], environment: Environment
    ) -> None:
        for name in _INCLUDE.findall(source):
            found = find(name)
            if found is None:
                raise _Unfit(_not_shared(place, name, self._folder))
            self._parse(found, _text_of(found), environment)
            if _INCLUDE.search(_text_of(found)):
                raise _Unfit(Fault(str(found), "it includes another file", "Include that one where this one is."))

    @staticmethod
    def _parse(place: Path, source: str, environment: Environment) -> None:
        try:
            environment.parse(source)
        except TemplateSyntaxError as error:
            raise _Unfit(_syntax(place, error)) from error


class _SharedFiles(BaseLoader):
    def __init__(self, find: Callable[[str], Path | None]) -> None:
        self._find = find

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        found = self._find(template)
        if found is None:
            raise TemplateNotFound(template)
        source = _text_of(found)
        if environment.autoescape:
            _check_links(found, source)
        return source, str(found), lambda: True


def _text_of(file: Path) -> str:
    raw = file.read_bytes()
    if len(raw) > FILE_BYTES_MAX:
        raise _Unfit(Fault(str(file), f"it is larger than {FILE_BYTES_MAX // 1024} KiB", "Mail programs cut it."))
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise _Unfit(Fault(str(file), f"byte {error.start} is no UTF-8", "Save the file as UTF-8.")) from error


def _check_links(place: Path, html: str) -> None:
    """Escaping does not make a link safe that came with an event: `javascript:` has nothing to escape."""
    for found in _DATA_IN_LINK.finditer(html):
        if not _SAFE_LINK.fullmatch(found["expression"]):
            expression = found["expression"].strip()
            raise _Unfit(
                Fault(
                    str(place),
                    f"a link is made of {{{{ {expression} }}}} as it comes",
                    f"Write {{{{ {expression} | link }}}}: only web addresses pass.",
                )
            )


def _syntax(place: Path, error: TemplateSyntaxError) -> Fault:
    return Fault(f"{place}, line {error.lineno}", str(error.message).removesuffix("."), "Correct the expression.")


def _not_shared(place: Path, name: str, folder: Path) -> Fault:
    return Fault(str(place), f'it includes "{name}", which is not there', f"Put it into {folder / SHARED}.")
