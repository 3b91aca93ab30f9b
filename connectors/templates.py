"""Templates: a folder each, compiled at start, rendered with data that is never a template itself.

`subject.txt`, `body.txt`, and `body.mjml` or `body.html`; a subfolder named by a language (`pl`) holds what differs
for it.  Files whose folder begins with `_` are there for others to include.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from babel import Locale, UnknownLocaleError
from babel.numbers import format_currency
from jinja2 import ChainableUndefined, FileSystemLoader, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from mjml import mjml2html

OUTPUT_CHARS_MAX = 512 * 1024
DEFAULT_LANGUAGE = "en"
_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")


class Fault(NamedTuple):
    """Something wrong with a template."""

    place: str
    fact: str
    way_out: str

    def __str__(self) -> str:
        return f"{self.place}: {self.fact}. {self.way_out}"


class TemplateFaults(ValueError):
    """All that is wrong with a folder of templates."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


class RenderError(ValueError):
    """A template could not be rendered with this content; never says which content."""


@dataclass(frozen=True)
class Rendered:
    subject: str
    text: str
    html: str | None


@dataclass(frozen=True)
class _Compiled:
    subject: Any
    text: Any
    html: Any


class Templates:
    """`names` are the templates there are; `render` takes the language nearest to a locale."""

    def __init__(self, compiled: Mapping[str, Mapping[str, _Compiled]]) -> None:
        self._compiled = compiled
        self.names = frozenset(compiled)

    @classmethod
    def load(cls, folder: Path) -> Templates:
        """Compile every template in this folder.  Raises `TemplateFaults`."""
        faults: list[Fault] = []
        compiled: dict[str, dict[str, _Compiled]] = {}
        if not folder.is_dir():
            return cls({})
        environments = _environments(folder)
        for each in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("_")):
            languages = {"": each} | {sub.name: sub for sub in sorted(each.iterdir()) if sub.is_dir()}
            compiled[each.name] = {
                language: made
                for language, at in languages.items()
                if (made := _compile(folder, each, at, environments, faults)) is not None
            }
        if faults:
            raise TemplateFaults(faults)
        return cls(compiled)

    def render(self, template: str, content: Mapping[str, Any], locale: str) -> Rendered:
        """Raises `RenderError`."""
        languages = self._compiled.get(template)
        if not languages:
            raise RenderError(f"there is no template {template}")
        language = locale.replace("_", "-").split("-", 1)[0].casefold()
        chosen = languages.get(language) or languages[""]
        known = _locale(locale) if language in languages or language == DEFAULT_LANGUAGE else Locale(DEFAULT_LANGUAGE)
        values = {**content, "price": partial(_price, known)}
        try:
            subject = " ".join(_bounded(chosen.subject, values).split())
            html = _bounded(chosen.html, values) if chosen.html is not None else None
            return Rendered(subject, _bounded(chosen.text, values), html)
        except RenderError:
            raise
        except Exception as error:
            raise RenderError(f"{template}: {type(error).__name__}") from None


def _bounded(template: Any, values: Mapping[str, Any]) -> str:
    parts: list[str] = []
    size = 0
    for part in template.generate(values):
        size += len(part)
        if size > OUTPUT_CHARS_MAX:
            raise RenderError("the output is too long")
        parts.append(part)
    return "".join(parts)


def _environments(folder: Path) -> dict[bool, Any]:
    loader = FileSystemLoader(folder)
    return {
        escaped: ImmutableSandboxedEnvironment(
            loader=loader, autoescape=escaped, undefined=ChainableUndefined, trim_blocks=True, lstrip_blocks=True
        )
        for escaped in (False, True)
    }


def _compile(
    root: Path, base: Path, at: Path, environments: Mapping[bool, Any], faults: list[Fault]
) -> _Compiled | None:
    def found(name: str) -> Path | None:
        return next((path for path in (at / name, base / name) if path.is_file()), None)

    def text(name: str) -> Any:
        path = found(name)
        if path is None:
            faults.append(Fault(str(at / name), "is missing", "Write it: every template has a subject and a text."))
            return None
        return _source(path.read_text(encoding="utf-8"), path, environments[False], faults)

    html: Any = None
    if (path := found("body.mjml")) is not None:
        try:
            markup = mjml2html(_inlined(path.read_text(encoding="utf-8"), root))
        except Exception as error:
            faults.append(Fault(str(path), f"is not MJML ({error})", "Correct it."))
        else:
            html = _source(markup, path, environments[True], faults)
    elif (path := found("body.html")) is not None:
        html = _source(path.read_text(encoding="utf-8"), path, environments[True], faults)
    subject, body = text("subject.txt"), text("body.txt")
    return None if subject is None or body is None else _Compiled(subject, body, html)


def _source(source: str, path: Path, environment: Any, faults: list[Fault]) -> Any:
    try:
        return environment.from_string(source)
    except TemplateError as error:
        line = getattr(error, "lineno", None)
        faults.append(Fault(f"{path}:{line or 1}", str(error), "Correct the template."))
        return None


_INCLUDE = re.compile(r'<mj-include path="([\w./-]+)" ?/>')


def _inlined(source: str, root: Path) -> str:
    return _INCLUDE.sub(lambda found: (root / found[1]).read_text(encoding="utf-8"), source)


def _locale(text: str) -> Locale:
    try:
        return Locale.parse(text.replace("-", "_")) if _TAG.fullmatch(text) else Locale(DEFAULT_LANGUAGE)
    except (UnknownLocaleError, ValueError):
        return Locale(DEFAULT_LANGUAGE)


def _price(locale: Locale, minor: object, currency: object, exponent: int = 2) -> str:
    if not isinstance(minor, int) or not isinstance(currency, str) or not currency:
        return ""
    return format_currency(Decimal(minor).scaleb(-exponent), currency, locale=locale)
