"""Jinja in a box: templates that read what they are given, and can neither run away nor blow up.

Jinja's own sandbox keeps templates from Python's internals, and stops there: nested loops, `"x" * 1000000000` or a
doubled text take a process down. Here every loop, call and text is paid for from a budget of steps and characters
while it happens, only the filters and operators listed below exist, and what would print a whole list is an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, cast

from babel import Locale
from jinja2 import BaseLoader, StrictUndefined, TemplateSyntaxError, Undefined, nodes, pass_context, pass_eval_context
from jinja2 import filters as stock
from jinja2.nodes import EvalContext
from jinja2.runtime import Context, LoopContext, Macro
from jinja2.sandbox import SandboxedEnvironment
from jinja2.visitor import NodeTransformer

STEPS_MAX = 20_000
CHARS_MAX = 512 * 1024
NUMBER_MAX = 10**18
RANGE_MAX = 1000

_STOCK = ("capitalize", "default", "d", "e", "escape", "first", "int", "last", "length", "lower", "title")
_STOCK_TOO = ("trim", "truncate", "upper", "urlencode")
_CALLABLE = re.compile("items|keys|values|get|cycle|changed")


class RenderError(Exception):
    """A message cannot be rendered. The text names what the template did, never what it was given."""


class Budget:
    """What one rendering may still do, and for whom it formats."""

    __slots__ = ("chars", "chars_max", "locale", "steps")

    def __init__(self, locale: Locale, steps: int = STEPS_MAX, chars: int = CHARS_MAX) -> None:
        self.locale, self.steps, self.chars, self.chars_max = locale, steps, chars, chars

    def spend(self, steps: int, chars: int = 0) -> None:
        self.steps -= steps
        self.chars -= chars
        if self.steps < 0:
            raise RenderError("it takes more steps than a template may")
        if self.chars < 0:
            raise RenderError("it makes more text than a template may")


budget: ContextVar[Budget] = ContextVar("budget")


class BoundedEnvironment(SandboxedEnvironment):
    """Compiles templates that spend from `budget`; `filters` come on top of the ones that are safe."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})

    def __init__(
        self, loader: BaseLoader | None, filters: Mapping[str, Callable[..., Any]], *, autoescape: bool
    ) -> None:
        super().__init__(
            loader=loader,
            autoescape=autoescape,
            undefined=StrictUndefined,
            finalize=_printed,
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,  # or constants would be worked out at the start, without a budget
            auto_reload=False,
            cache_size=-1,
        )
        kept = {name: self.filters[name] for name in (*_STOCK, *_STOCK_TOO)}
        self.filters = {**kept, "join": _join, "replace": _replace, **_OURS, **filters}
        self.globals = {"range": _range}

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return cast(nodes.Template, _Metered(name, filename).visit(super()._parse(source, name, filename)))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        budget.get().spend(1)
        for each in (left, right):
            if not isinstance(each, int | float) or isinstance(each, bool) or abs(each) > NUMBER_MAX:
                raise RenderError(f"it uses {operator} on something else than two numbers of a usual size")
        if operator == "**":
            raise RenderError("it uses **")
        return super().call_binop(context, operator, left, right)

    def is_safe_callable(self, obj: Any) -> bool:
        """Macros and loops; of methods, the few that read a table or belong to a loop."""
        budget.get().spend(1)
        if obj is _range or isinstance(obj, Macro | LoopContext):
            return True
        owner = getattr(obj, "__self__", None)
        return isinstance(owner, dict | LoopContext) and bool(_CALLABLE.fullmatch(getattr(obj, "__name__", "")))


class _Metered(NodeTransformer):
    """Puts the meter into a parsed template, and refuses what cannot be metered."""

    def __init__(self, name: str | None, filename: str | None) -> None:
        self._name, self._filename = name, filename

    def visit_Template(self, node: nodes.Template) -> nodes.Node:
        return self._with_meter(node)

    visit_Macro = visit_CallBlock = visit_Block = visit_Template

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self._with_meter(node)
        node.iter = _filter("_items", cast(nodes.Expr, node.iter))
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        node.nodes = [_filter("_text", each) for each in node.nodes]
        return _filter("_paid", node)

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:
        if node.name.startswith("_"):
            self._refuse(node, f"there is no filter {node.name}")
        return self.generic_visit(node)

    def visit_List(self, node: nodes.List) -> nodes.Node:
        """What is built of what it holds can double with every line; constants cannot."""
        if not all(isinstance(each, nodes.Const) for each in node.items):
            self._refuse(node, "a list in a template can hold constants only")
        return node

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        if not all(isinstance(each.value, nodes.Const) for each in node.items):
            self._refuse(node, "a table in a template can hold constants only")
        return node

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        if node.ctx == "load" and not all(isinstance(each, nodes.Const) for each in node.items):
            self._refuse(node, "a list in a template can hold constants only")
        return node

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        """What is missing is told by its name, so that name must be the template's own and not a customer's."""
        self.generic_visit(node)
        if not isinstance(node.arg, nodes.Const | nodes.Slice | nodes.Neg):
            self._refuse(node, "what stands in [ ] must be a constant")
        return node

    def visit_ScopedEvalContextModifier(self, node: nodes.Node) -> nodes.Node:
        self._refuse(node, "autoescape cannot be switched")
        return node

    visit_EvalContextModifier = visit_ScopedEvalContextModifier

    def _with_meter(self, node: nodes.Node) -> nodes.Node:
        self.generic_visit(node)
        body: list[nodes.Node] = node.body  # type: ignore[attr-defined]  # all that come here have one
        chars = sum(len(text.data) for part in body for text in _own_texts(part))
        body.insert(0, nodes.ExprStmt(_filter("_spend", nodes.Const(chars)), lineno=node.lineno))
        return node

    def _refuse(self, node: nodes.Node, fact: str) -> None:
        raise TemplateSyntaxError(fact, node.lineno, self._name, self._filename)


def _own_texts(node: nodes.Node) -> list[nodes.TemplateData]:
    """The literal text that stands in a node, without that in loops and macros inside, which pay for their own."""
    if isinstance(node, nodes.TemplateData):
        return [node]
    if isinstance(node, nodes.For | nodes.Macro | nodes.CallBlock | nodes.Block):
        return []
    return [text for child in node.iter_child_nodes() for text in _own_texts(child)]


def _filter(name: str, node: nodes.Expr) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None, lineno=node.lineno or 1)


def _spend(chars: int) -> None:
    budget.get().spend(1, chars)


def _items(value: Any) -> Any:
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    try:
        budget.get().spend(len(value))
    except TypeError:
        raise RenderError("it loops over something that is no list") from None
    return value


def _text(value: Any) -> Any:
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise RenderError("it prints something that is neither text nor a number")
    return value


def _paid(value: str) -> str:
    budget.get().spend(1, len(value))
    return value


@pass_context
def _printed(_: Context, value: Any) -> Any:
    found = _text(value)
    budget.get().spend(1, len(found) if isinstance(found, str) else 20)
    return found


def _range(*bounds: int) -> range:
    found = range(*bounds)
    if len(found) > RANGE_MAX:
        raise RenderError(f"it counts further than {RANGE_MAX}")
    return found


@pass_eval_context
def _join(eval_ctx: EvalContext, value: Sequence[Any], d: str = "") -> str:
    items = [_text(each) for each in _items(value)]
    budget.get().spend(1, sum(len(str(each)) for each in items) + len(d) * len(items))
    return str(stock.do_join(eval_ctx, items, d)) if not eval_ctx.autoescape else stock.do_join(eval_ctx, items, d)


@pass_eval_context
def _replace(eval_ctx: EvalContext, value: str, old: str, new: str) -> str:
    text = str(_text(value))
    budget.get().spend(1, len(text) + text.count(old) * len(new))
    return str.replace(text, old, new)


_OURS: dict[str, Callable[..., Any]] = {
    "_items": _items,
    "_paid": _paid,
    "_spend": _spend,
    "_text": _text,
}
