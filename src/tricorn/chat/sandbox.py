"""The jinja2 environment of chat templates: transformers' own, with everything counted.

jinja2's sandbox keeps a template from code and from changing what it is given, but lets it take all
time and memory there is. Here the code that a template is compiled to counts on its way: each turn
of a loop, each text and list that is made, each call and filter (`template_budget`). What cannot be
counted beforehand and no chat template uses is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from jinja2 import nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.ext import Extension, loopcontrols
from jinja2.runtime import Context, Macro
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from jinja2.utils import Namespace

from tricorn.chat import sandbox_filters
from tricorn.chat.template_budget import BITS, Budget, TooExpensive, limited

_PLAIN_TEXT = """capitalize casefold count endswith find index isalnum isalpha isascii isdecimal
    isdigit isidentifier islower isnumeric isprintable isspace istitle isupper lower lstrip
    partition removeprefix removesuffix rfind rindex rpartition rstrip startswith strip swapcase
    title upper"""
_METHODS: dict[type, frozenset[str]] = {
    str: frozenset(f"{_PLAIN_TEXT} {' '.join(sandbox_filters.GROWING)} format format_map".split()),
    bytes: frozenset(),
    int: frozenset({"is_integer", "bit_length"}),
    float: frozenset({"is_integer"}),
}
"""Those that take no longer than their text is, or are counted."""
_RUN_AGAIN = (nodes.For, nodes.Macro, nodes.CallBlock, nodes.Block)
"""What may run more than once: everything else ends with the template's own text."""
_GIVEN_ALONG = ("_loop_vars", "_block_vars")
"""Arguments that are for jinja2's own functions only."""
_MOST_KEPT = 1000
_NUMBERS = re.compile(r"\d+")


class _Generation(Extension):
    """`{% generation %}` marks the assistant's turn for training; for serving it is its content."""

    tags = {"generation"}

    def parse(self, parser: Any) -> Any:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


class _CountingCode(CodeGenerator):
    """Writes jinja2's code, with calls of `Sandbox` where something is made."""

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:
        # The lists themselves: they live as long as the template that is compiled.
        self._again = {id(vars(one)["body"]) for one in node.find_all(_RUN_AGAIN)}
        super().visit_Template(node, frame)

    def blockvisit(self, nodes: Iterable[nodes.Node], frame: Frame) -> None:
        if id(nodes) in self._again:
            self.writeline(f"environment.budget.take({_own_text(nodes)})")
        super().blockvisit(nodes, frame)

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        super()._output_child_pre(node, frame, _unfinished(node, finalize))

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        super()._output_child_post(node, frame, _unfinished(node, finalize))

    def visit_Add(self, node: nodes.BinExpr, frame: Frame) -> None:
        """A chain at once: most of what templates do is `'a' + b + 'c'`."""
        operands: list[nodes.Expr] = [node.right]
        left = node.left
        while isinstance(left, nodes.Add):
            operands.append(left.right)
            left = left.left
        self._call("added", [left, *reversed(operands)], frame)

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("(markup_join if context.eval_ctx.autoescape else str_join)(")
        self._call("counted", node.nodes, frame)
        self.write(")")

    def visit_List(self, node: nodes.List, frame: Frame) -> None:
        self.write("environment.kept(")
        super().visit_List(node, frame)
        self.write(")")

    def visit_Dict(self, node: nodes.Dict, frame: Frame) -> None:
        self.write("environment.kept(")
        super().visit_Dict(node, frame)
        self.write(")")

    def visit_Tuple(self, node: nodes.Tuple, frame: Frame) -> None:
        if node.ctx != "load":
            super().visit_Tuple(node, frame)
            return
        self.write("environment.kept(")
        super().visit_Tuple(node, frame)
        self.write(")")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        against_constant = isinstance(node.expr, nodes.Const) or any(
            isinstance(operand.expr, nodes.Const) for operand in node.ops
        )
        searches = any(operand.op in ("in", "notin") for operand in node.ops)
        if against_constant and not searches:
            super().visit_Compare(node, frame)
            return
        self.write("(environment.budget.search() or ")
        super().visit_Compare(node, frame)
        self.write(")")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:
        if not isinstance(node.arg, nodes.Slice):
            super().visit_Getitem(node, frame)
            return
        self.write("(environment.budget.search() or ")
        super().visit_Getitem(node, frame)
        self.write(")")

    def _call(self, name: str, arguments: Iterable[nodes.Expr], frame: Frame) -> None:
        self.write(f"environment.{name}((")
        for argument in arguments:
            self.visit(argument, frame)
            self.write(", ")
        self.write("))")


def _own_text(inside: Iterable[nodes.Node]) -> int:
    """Characters that a turn writes of itself, whichever conditions are true."""
    return sum(_length(one) for node in inside for one in node.find_all(nodes.Literal))


def _length(one: nodes.Literal) -> int:
    match one:
        case nodes.TemplateData():
            return len(one.data)
        case nodes.Const():
            return len(str(one.value))
        case _:
            return 0  # what is in a list or mapping is looked at by itself


def _unfinished(node: nodes.Expr, finalize: Any) -> Any:
    """How jinja2 finishes an output; not at all where it was counted already, or is the template's
    own text."""
    counted = isinstance(node, nodes.Add | nodes.Concat | nodes.Const)
    return finalize._replace(src=None) if counted else finalize


class Sandbox(ImmutableSandboxedEnvironment):
    """One rendering at a time; `budget` is that one's."""

    code_generator_class = _CountingCode
    # Without "+", which comes to `added`, and "-", which makes nothing long.
    intercepted_binops = frozenset({"*", "**", "%", "/", "//"})

    def __init__(self) -> None:
        # Unoptimised: else what is constant would be calculated uncounted, while compiling.
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[_Generation, loopcontrols],
            optimized=False,
        )
        self.budget = Budget()
        self.finalize = self._written
        self._safe: dict[tuple[type, str], bool] = {}
        del self.globals["lipsum"]
        sandbox_filters.install(self)

    @pass_context
    def _written(self, _context: Context, value: Any) -> Any:
        if type(value) is not str:
            if type(value) is Namespace:
                raise TooExpensive("it writes a whole namespace")
            # No value is longer than what was taken for it when it was made.
            value = str(value)
        self.budget.take(len(value))
        return value

    # --- called by the code that a template is compiled to ---------------------------------------

    def counted(self, values: tuple[Any, ...]) -> tuple[Any, ...]:
        """They are about to be joined."""
        for value in values:
            self.budget.take_value(value)
        return values

    def kept(self, value: Any) -> Any:
        """A list, tuple or mapping that the template wrote down."""
        self.budget.take_value(value)
        return value

    def added(self, operands: tuple[Any, ...]) -> Any:
        try:
            self.budget.take(sum(map(len, operands)))
            return "".join(operands)
        except TypeError:  # not all of them are texts
            total = operands[0]
            for operand in operands[1:]:
                for part in (total, operand):
                    self.budget.take_value(part)
                total = total + operand
            return total

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if isinstance(left, int) and isinstance(right, int):
            if operator == "**" and left.bit_length() * right > BITS:
                raise TooExpensive("it calculates with very long numbers")
            limited(left)
            limited(right)
        elif operator == "*":
            sequence, times = (right, left) if isinstance(left, int) else (left, right)
            if isinstance(times, int):
                self.budget.take_value(sequence, max(0, times))
        elif operator == "%" and isinstance(left, str):
            sandbox_filters.printf(self.budget, left, right)
        return super().call_binop(context, operator, left, right)

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        # The names are jinja2's own: what a template calls may have any others.
        budget = __self.budget
        own = getattr(__obj, "__self__", None)
        if isinstance(own, str):
            # `is_safe_attribute` has let it through: no need for jinja2 to look again.
            args = sandbox_filters.method(budget, own, __obj.__name__, args, kwargs)
            for given in _GIVEN_ALONG:
                kwargs.pop(given, None)
            return __obj(*args, **kwargs)
        if not isinstance(__obj, Macro) or __obj.catch_varargs or __obj.catch_kwargs:
            budget.take_value(args)
            budget.take_value(kwargs)
        return super().call(__context, __obj, *args, **kwargs)

    # --- what may be reached ---------------------------------------------------------------------

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        # It is a matter of the object's type alone; finding out takes longer than most else here.
        key = (type(obj), attr)
        safe = self._safe.get(key)
        if safe is None:
            safe = self._is_safe(obj, attr, value)
            if len(self._safe) < _MOST_KEPT:
                self._safe[key] = safe
        return safe

    def _is_safe(self, obj: Any, attr: str, value: Any) -> bool:
        for kind, allowed in _METHODS.items():
            if isinstance(obj, kind):
                return attr in allowed
        return super().is_safe_attribute(obj, attr, value)

    def wrap_str_format(self, value: Any) -> Any:
        if getattr(value, "__name__", None) not in ("format", "format_map"):
            return None
        own = getattr(value, "__self__", None)
        if not isinstance(own, str):
            return None
        by_mapping = value.__name__ == "format_map"

        def formatted(*args: Any, **kwargs: Any) -> str:
            return _Formatter(self).vformat(
                str(own), () if by_mapping else args, args[0] if by_mapping else kwargs
            )

        return formatted


class _Formatter(SandboxedFormatter):
    """`str.format`, with widths counted."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(sandbox)
        self._sandbox = sandbox

    def convert_field(self, value: Any, conversion: Any) -> Any:
        self._sandbox.budget.take_value(value)
        return super().convert_field(value, conversion)

    def format_field(self, value: Any, format_spec: str) -> Any:
        self._sandbox.budget.take(sum(map(int, _NUMBERS.findall(format_spec))))
        return super().format_field(value, format_spec)
