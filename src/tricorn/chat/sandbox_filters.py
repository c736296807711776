"""Filters, tests and methods of texts in chat templates, each counted before it makes something."""

from __future__ import annotations

import re
from collections.abc import Callable, Sized
from functools import wraps
from typing import TYPE_CHECKING, Any

from jinja2 import pass_context
from jinja2.utils import _PassArg

from tricorn.chat.template_budget import ITEM, Budget, TooExpensive, limited

if TYPE_CHECKING:
    from tricorn.chat.sandbox import Sandbox

GROWING = (
    *("center", "expandtabs", "join", "ljust", "replace", "rjust", "rsplit", "split"),
    *("splitlines", "zfill"),
)
"""Methods of texts whose result may be longer than the text, or takes more memory."""

_NOT_THERE = ("pprint", "striptags", "urlize", "wordwrap", "xmlattr")
"""Filters for web pages, whose cost depends on more than the length of what they get."""
_FREE = frozenset(
    {
        *("attr", "count", "d", "default", "first", "items", "last", "length"),
        *("map", "reject", "rejectattr", "select", "selectattr"),
    }
)
"""Filters that pass something on, or tell about it."""
_AS_LONG = frozenset({"capitalize", "lower", "safe", "string", "title", "trim", "upper"})
"""Filters of a value alone, whose result is about as long."""
_HOLDS = (str, int, list, tuple, dict)
_SEARCHING = (
    *("in", "eq", "==", "equalto", "ne", "!=", "lt", "<", "lessthan", "le", "<="),
    *("gt", ">", "greaterthan", "ge", ">="),
)
"""Tests that may look through all of what they are given."""
_NUMBERS = re.compile(r"\d+")
_SPLIT = 8
"""A character of a text that is split may become a text of its own."""
_WIDEST_INDENT = 8
_LONGEST_SEPARATOR = 16
_MOST_DIGITS = 32


def install(environment: Sandbox) -> None:
    """Count in all of the environment's filters, and the tests that compare."""
    for name in _NOT_THERE:
        del environment.filters[name]
    for name, function in environment.filters.items():
        add(environment, name, function)
    tests: dict[str, Any] = environment.tests
    for name in _SEARCHING:
        tests[name] = _searching(tests[name], environment)
    environment.tests["divisibleby"] = lambda value, by: limited(value) % limited(by) == 0


def _searching(test: Callable[..., bool], environment: Sandbox) -> Callable[..., bool]:
    @wraps(test)
    def counted(*args: Any) -> bool:
        environment.budget.search()
        return test(*args)

    return counted


def add(environment: Sandbox, name: str, function: Callable[..., Any]) -> None:
    """A filter, counted by its name's rule."""
    takes = _PassArg.from_obj(function)
    rule, free = _RULES.get(name), name in _FREE

    def as_long(_context: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        if type(value) is str:
            environment.budget.take(len(value))
        else:
            environment.budget.take_value(value)
        return function(value, *args, **kwargs)

    def counted(context: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        own = environment.budget
        if rule is not None:
            value = rule(own, value, args, kwargs)
        elif free:
            own.take()
        else:
            own.take_value(value)
        if takes is None:
            result = function(value, *args, **kwargs)
        elif takes is _PassArg.context:
            result = function(context, value, *args, **kwargs)
        elif takes is _PassArg.eval_context:
            result = function(context.eval_ctx, value, *args, **kwargs)
        else:
            result = function(environment, value, *args, **kwargs)
        if not free and isinstance(result, _HOLDS):
            own.take_value(result)
        return result

    # With the context: jinja2 calls no filter that takes it ahead of time, uncounted.
    environment.filters[name] = pass_context(as_long if name in _AS_LONG else counted)


def printf(budget: Budget, form: str, given: Any) -> None:
    """Before `form % given`."""
    if "*" in form:
        raise TooExpensive("it formats with a width that it calculates")
    budget.take(len(form) + sum(map(int, _NUMBERS.findall(form))))
    # One value of a mapping may be written again and again.
    budget.take_value(given, form.count("%") if isinstance(given, dict) else 1)


def method(
    budget: Budget, text: str, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[Any, ...]:
    """Before a text's method is called; with what."""
    match name:
        case "center" | "ljust" | "rjust" | "zfill":
            budget.take(max(len(text), _number(args, kwargs, "width")))
        case "expandtabs":
            budget.take(len(text) + text.count("\t") * _number(args, kwargs, "tabsize"))
        case "replace":
            _replaced(budget, text, *args)
        case "join" if args:
            items = list(args[0])
            budget.take(len(items) * len(text))
            budget.take_value(items)
            return (items, *args[1:])
        case "split" | "rsplit" | "splitlines":
            budget.take(len(text) * _SPLIT)
        case _:
            budget.take(len(text))
    return args


def _number(args: tuple[Any, ...], kwargs: dict[str, Any], name: str, at: int = 0) -> int:
    value = args[at] if len(args) > at else kwargs.get(name)
    return max(0, value) if isinstance(value, int) else 0


def _replaced(budget: Budget, text: str, old: Any = "", new: Any = "", *_count: Any) -> None:
    budget.take_value(new, text.count(str(old)))
    budget.take(len(text))


# --- what single filters take, and the value that they go on with ---------------------------------


def _center(budget: Budget, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    budget.take_value(value)
    budget.take(_number(args, kwargs, "width"))
    return value


def _indent(budget: Budget, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    budget.take_value(value)
    width = args[0] if args else kwargs.get("width", 4)
    wide = width if isinstance(width, int) else len(str(width))
    budget.take(str(value).count("\n") * wide + wide)
    return value


def _format(budget: Budget, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    printf(budget, str(value), kwargs or args)
    return value


def _replace(budget: Budget, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    budget.take_value(value)
    old, new = kwargs.get("old", ""), kwargs.get("new", "")
    _replaced(budget, str(value), *(*args, *(old, new)[len(args) :]))
    return value


def _join(budget: Budget, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    items = list(value)
    between = args[0] if args else kwargs.get("d", "")
    budget.take_value(items)
    budget.take_value(between, len(items))
    return items


def _listed(budget: Budget, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if isinstance(value, Sized):
        budget.take(ITEM * len(value))
    return value


def _grouped(budget: Budget, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """slice and batch: a number of groups, or how long each is, filled up."""
    _listed(budget, value, args, kwargs)
    name = "linecount" if "linecount" in kwargs else "slices"
    budget.take(ITEM * _number(args, kwargs, name))
    return value


def _words(budget: Budget, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    budget.take_value(value, _SPLIT)
    return value


def _rounded(budget: Budget, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    budget.take()
    if _number(args, kwargs, "precision") > _MOST_DIGITS:
        raise TooExpensive(f"it rounds to more than {_MOST_DIGITS} digits")
    return value


def _summed(budget: Budget, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    _listed(budget, value, args, kwargs)
    start = args[1] if len(args) > 1 else kwargs.get("start", 0)
    if not isinstance(start, int | float):
        raise TooExpensive("it sums up what are no numbers")
    return value


def _json(budget: Budget, value: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    indent = args[1] if len(args) > 1 else kwargs.get("indent")
    wide = len(indent) if isinstance(indent, str) else indent or 0
    separators = args[2] if len(args) > 2 else kwargs.get("separators")
    if wide > _WIDEST_INDENT or any(len(one) > _LONGEST_SEPARATOR for one in separators or ()):
        raise TooExpensive("it writes JSON with more white space than anybody reads")
    if wide or separators:
        budget.take_value(value, 1 + 4 * wide)
    else:
        budget.take()  # JSON is not much longer than the value, which was counted when it was made
    return value


_RULES: dict[str, Callable[[Budget, Any, tuple[Any, ...], dict[str, Any]], Any]] = {
    "batch": _grouped,
    "center": _center,
    "format": _format,
    "indent": _indent,
    "join": _join,
    "list": _listed,
    "replace": _replace,
    "round": _rounded,
    "slice": _grouped,
    "sum": _summed,
    "tojson": _json,
    "wordcount": _words,
}
