"""The commands put together, and how they end: 0 done, 1 failed, 2 the caller's fault."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import NamedTuple

import typer

from flows import huge_pages

HELP = "Event-driven marketing automation: events in, the right message out, in milliseconds, nothing lost."


class Place(NamedTuple):
    """The module of a command and what it is called there; a group of commands is a Typer of its own."""

    module: str
    function: str


COMMANDS = {
    "check": Place("running", "check"),
    "run": Place("running", "run"),
    "serve": Place("running", "serve"),
    "replay": Place("replaying", "replay"),
    "import": Place("imports", "import_"),
    "flows": Place("flow_commands", "flows"),
    "simulate": Place("simulating", "simulate"),
    "explain": Place("explaining", "explain"),
    "customer": Place("reading", "customer"),
    "decisions": Place("reading", "decisions"),
    "status": Place("reading", "status"),
    "precompute": Place("precompute", "precompute"),
    "report": Place("report", "report"),
    "export": Place("exporting", "export"),
    "webhook-secrets": Place("webhooks", "webhook_secrets"),
    "choices": Place("choosing", "app"),
    "reranking": Place("reranking", "app"),
    "dead-letters": Place("dead_letters", "app"),
}


LARGE = {"serve", "precompute"}
"""Commands that keep much in memory, in this very process."""


def app_for(called: str = "") -> typer.Typer:
    """With the command that is called, and all where none is: to import what every command needs takes a second."""
    app = typer.Typer(
        name="impuls",
        help=HELP,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"max_content_width": 140},  # or what commands do is cut off on a screen that has room for it
    )
    app.callback()(lambda: None)  # or Typer would take a single command for the whole
    for name in [called] if called in COMMANDS else COMMANDS:
        place = COMMANDS[name]
        found = getattr(import_module(f"flows.cli.{place.module}"), place.function)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)
    return app


def main() -> None:
    """Run a command and end the process."""
    called = sys.argv[1] if len(sys.argv) > 1 else ""
    if called in LARGE:
        huge_pages.start_again()
    try:
        app_for(called)()
    except KeyboardInterrupt:
        sys.exit(1)
    except Exception as error:
        from flows.cli.endings import code_of

        code = code_of(error)
        if code is None:
            raise
        print(error if code == 2 else f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(code)
