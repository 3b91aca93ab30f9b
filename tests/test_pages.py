"""The pages: what they point to is there, headings too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from operators.guards import GUARDS
from state.decisions import Decision, Outcome, Reason

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> Iterator[str]:
    """What GitHub calls the headings of a page."""
    for heading in re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_every_link_between_pages_leads_somewhere() -> None:
    broken = []
    for page in PAGES:
        for link in LINK.findall(re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)):
            path, _, anchor = link.partition("#")
            if "://" in link or link.startswith("mailto:"):
                continue
            found = (page.parent / path).resolve() if path else page
            if not found.exists() or (anchor and anchor not in anchors(found)):
                broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert broken == []


def test_every_page_is_led_to_by_another() -> None:
    led_to = {
        (page.parent / link.partition("#")[0]).resolve() for page in PAGES for link in LINK.findall(page.read_text())
    }
    folders = {each for each in led_to if each.is_dir()}
    lost = [page for page in PAGES[1:] if page.resolve() not in led_to and page.resolve().parent not in folders]
    assert [str(page.relative_to(ROOT)) for page in lost] == []


def test_the_page_on_guards_has_all_of_them_in_their_order_and_every_word_of_a_decision() -> None:
    page = (ROOT / "docs" / "guards.md").read_text()
    assert re.findall(r"^\| `(\w+)` \|.*\|.*\| (?:yes|no) \|$", page, re.MULTILINE) == [g.__name__ for g, _ in GUARDS]
    spared = {name for name, also in re.findall(r"^\| `(\w+)` .*\| (yes|no) \|$", page, re.MULTILINE) if also == "no"}
    assert spared == {guard.__name__ for guard, spares in GUARDS if spares}
    words = {*re.findall(r"`(\w+)`", page)}
    assert words >= {*Decision.__struct_fields__}
    assert words >= {*get_args(Reason)} - {""}
    assert words >= {*get_args(Outcome)}
