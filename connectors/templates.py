"""The templates of messages: read, checked and compiled once at the start, rendered for every message.

A template is a folder. A mail's has `subject.txt`, `body.txt` and, if it likes, `body.mjml` or `body.html`; a text
message's `sms.txt`; a push message's `push_title.txt`, `push_body.txt` and perhaps `push_link.txt`. A folder in it with
a locale's name (`pl`, `pt-BR`) holds the same files for those who read that. `_shared` holds what they include, by
its bare name, and may have folders of locales too. What a template is given is data: rendered once, escaped in HTML.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path
from traceback import walk_tb
from typing import Any, NamedTuple

from babel import Locale
from jinja2 import Template, UndefinedError
from jinja2.exceptions import SecurityError

from connectors.sandbox import Budget, RenderError, budget
from connectors.template_files import Fault, Variant, read_all
from connectors.wording import locale_or_none
from state.messages import Channel

__all__ = ["RenderError", "Rendered", "TemplateFaults", "Templates"]

SUBJECT_CHARS_MAX = 200
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_SPACES = re.compile("[\u00a0\u2007\u2009\u202f]")
_BLANK_LINES = re.compile(r"\n\s*\n\s*\n+")


class TemplateFaults(ValueError):
    """All that is wrong with a folder of templates: `faults`, each with its place, the fact and the way out."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("\n".join(str(fault) for fault in faults))


class Rendered(NamedTuple):
    """A message in words. `locale` is the language it is written in."""

    template: str
    locale: str
    subject: str
    text: str
    html: str | None = None


class Templates:
    """The templates of a deployment."""

    def __init__(self, variants: Mapping[str, Mapping[str, Variant]], default_locale: str) -> None:
        self._variants, self._default = variants, default_locale

    @classmethod
    def load(cls, folder: Path, *, default_locale: str = "en") -> Templates:
        """Read and compile all templates of a folder. Raises `TemplateFaults` with all that is wrong.

        What stands in a template's folder itself is in `default_locale`, and for everybody who reads none of the
        other locales.
        """
        variants, faults = read_all(folder, default_locale)
        if faults:
            raise TemplateFaults(faults)
        return cls(variants, default_locale)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._variants)

    def texts(self, channel: Channel) -> Iterator[tuple[str, str, str]]:
        """Name, locale and own words, nothing filled in, of what goes by a channel."""
        for name, variants in self._variants.items():
            for locale, variant in variants.items():
                if variant.channel == channel:
                    yield name, locale, _plain(variant.own_words)

    def channel(self, template: str) -> Channel | None:
        """The channel its files are for; None where there is no such template."""
        return next((variant.channel for variant in self._variants.get(template, {}).values()), None)

    def render(self, template: str, content: Mapping[str, Any], locale: str) -> Rendered:
        """Put a mail into words. `locale` may be anything a shop says. Raises `RenderError`."""
        language, parts, formats, given = self._ready(template, "email", content, locale)
        subject = _one_line(_run(parts["subject"], given, formats))
        if not subject:
            raise RenderError("its subject is empty")
        given["subject"] = subject
        text = _run(parts["text"], given, formats).strip()
        if not text:
            raise RenderError("its text is empty")
        html = _run(parts["html"], given, formats) if "html" in parts else None
        return Rendered(template, language, subject, _BLANK_LINES.sub("\n\n", text) + "\n", html)

    def words(self, template: str, channel: Channel, content: Mapping[str, Any], locale: str) -> dict[str, str]:
        """Put a message of another channel into words: its parts by name. Raises `RenderError`."""
        _, parts, formats, given = self._ready(template, channel, content, locale)
        told = {name: _plain(_run(part, given, formats)) for name, part in parts.items()}
        for name, text in told.items():
            if not text and name != "link":
                raise RenderError(f"its {name} is empty")
        return told

    def _ready(
        self, template: str, channel: Channel, content: Mapping[str, Any], locale: str
    ) -> tuple[str, Mapping[str, Template], Locale, dict[str, Any]]:
        by_locale = self._variants.get(template)
        if by_locale is None or self.channel(template) != channel:
            raise RenderError("there is no such template")
        language, variant, formats = self._choose(by_locale, locale)
        return language, variant.parts, formats, {**cleaned(content), "language": language}

    def _choose(self, by_locale: Mapping[str, Variant], wanted: str) -> tuple[str, Variant, Locale]:
        """The variant for a reader, and the locale for its numbers: hers when the language is hers too."""
        found = locale_or_none(wanted)
        if found is not None:
            for name in (f"{found.language}-{found.territory}", found.language):
                if name in by_locale:
                    return name, by_locale[name], found
        default = by_locale[self._default]
        if found is not None and found.language == default.formats.language:
            return self._default, default, found
        return self._default, default, default.formats


def cleaned(value: Any) -> Any:
    """The same content without control characters in its texts, so that none can end a line or turn its direction."""
    if isinstance(value, str):
        return _CONTROLS.sub(" ", value) if _CONTROLS.search(value) else value
    if isinstance(value, Mapping):
        return {key: cleaned(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [cleaned(each) for each in value]
    return value


def _run(template: Template, given: Mapping[str, Any], formats: Locale) -> str:
    spending = Budget(formats)
    token = budget.set(spending)
    size = 0
    made = []
    try:
        for piece in template.generate(given):
            size += len(piece)
            if size > spending.chars_max:
                raise RenderError("it makes more text than a template may")
            made.append(piece)
    except (RenderError, UndefinedError) as error:
        raise RenderError(f"{_place(error)}{error}") from error
    except SecurityError as error:
        raise RenderError(f"{_place(error)}it calls what a template must not") from error
    except Exception as error:  # whatever a template's own expressions raise
        raise RenderError(f"{_place(error)}it raised {type(error).__name__}") from error
    finally:
        budget.reset(token)
    return "".join(made)


def _place(error: Exception) -> str:
    """The file and line it happened in; of MJML the file alone, since its lines are those of what was made of it."""
    for frame, line in reversed(list(walk_tb(error.__traceback__))):
        file = Path(frame.f_code.co_filename)
        if file.suffix in (".txt", ".html", ".mjml"):
            return f"{file.parent.name}/{file.name}{'' if file.suffix == '.mjml' else f', line {line}'}: "
    return ""


def _plain(text: str) -> str:
    """As telephones show it. Spaces that may not break would take a text message into an alphabet twice as wide."""
    return _BLANK_LINES.sub("\n\n", unicodedata.normalize("NFC", _SPACES.sub(" ", text)).strip())


def _one_line(text: str) -> str:
    line = " ".join(_CONTROLS.sub(" ", unicodedata.normalize("NFC", text)).split())
    return line if len(line) <= SUBJECT_CHARS_MAX else line[: SUBJECT_CHARS_MAX - 1].rstrip() + "…"
