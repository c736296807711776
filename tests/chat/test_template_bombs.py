"""Templates that want all time or memory there is: each is stopped, with a reason in words."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import Any

import pytest

from tricorn.chat.template import MAX_SOURCE, ChatTemplate, variables
from tricorn.chat.template_budget import Budget
from tricorn.errors import InvalidRequest, UnsupportedParameter

SPACE = 200_000
LOOKS = 2_000
ASK = [{"role": "user", "content": "Hi"}]


def small() -> Budget:
    """Few characters, and a clock that goes on by being looked at."""
    looks = count()
    return Budget(SPACE, LOOKS, lambda: next(looks))


def render(source: str, messages: list[dict[str, Any]] = ASK, **variables: Any) -> str:
    template = ChatTemplate(source, budget=small)
    return template.render(messages, template_kwargs=variables)


def nested(begin: str, within: str, end: str, levels: int) -> str:
    return begin * levels + within + end * levels


MACRO = "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}"
DOUBLING_MACRO = (
    "{% macro m(x, n) %}{% if n %}{{ m(x ~ x, n - 1) }}{% else %}{{ x }}{% endif %}{% endmacro %}"
    "{{ m('abcdefgh', 40) }}"
)
HOLDS_ALL = "{% macro m(n) %}{% if n %}{{ m(n - 1, varargs, varargs) }}{% endif %}"
HOLDS_ALL += "{{ varargs == [[varargs]] }}{% endmacro %}{{ m(60) }}"


def doubling(expression: str) -> str:
    """A value that is made anew of itself, 60 times."""
    begin = "{% set n = namespace(x='abcdefgh', l=[1]) %}{% for i in range(60) %}"
    return begin + f"{{% set n.x = {expression} %}}" + "{% endfor %}{{ n.x | length }}"


BOMBS = {
    "loops within loops": nested("{% for i in range(99999) %}", "", "{% endfor %}", 4),
    "text in loops": nested("{% for i in range(9999) %}", "x" * 500, "{% endfor %}", 2),
    "conditions in loops": nested(
        "{% for i in range(9999) %}{% if i %}", "", "{% endif %}{% endfor %}", 3
    ),
    "a long range": "{% for i in range(10 ** 9) %}{% endfor %}",
    "times": "{{ 'a' * 10 ** 10 }}",
    "times, the other way": "{{ 10 ** 10 * 'a' }}",
    "times of a constant, thrown away": "{% set x = 'a' * 10 ** 10 %}",
    "a list, often": "{{ [0] * 10 ** 10 }}",
    "a text in a list, often": "{{ ['abcdefghij' * 1000] * 1000 }}",
    "powers": "{{ 9 ** (9 ** 9) }}",
    "powers of powers": doubling("(n.l | length + 7) ** 9999"),
    "squares": "{% set n = namespace(x=7) %}{% for i in range(60) %}{% set n.x = n.x * n.x %}{% endfor %}",  # noqa: E501
    "digits": "{{ ('f' * 99999) | int(base=16) }}",
    "rounding": "{{ 1.5 | round(10 ** 9, 'ceil') }}",
    "plus": doubling("n.x + n.x"),
    "plus within plus": doubling("n.x + (n.x + n.x) + n.x"),
    "next to each other": doubling("n.x ~ n.x"),
    "lists of lists": doubling("[n.x, n.x]"),
    "mappings of mappings": doubling("{'a': n.x, 'b': n.x}"),
    "pairs of pairs": doubling("(n.x, n.x)"),
    "lists and lists": doubling("(n.x | list) + (n.x | list)"),
    "dict": doubling("dict(a=n.x, b=n.x)"),
    "namespaces": doubling("namespace(a=n.x, b=n.x)"),
    "format": doubling("'%s%s' % (n.x, n.x)"),
    "format of names": doubling("'%(a)s%(a)s' % {'a': n.x}"),
    "format's filter": doubling("'%s%s' | format(n.x, n.x)"),
    "format's method": doubling("'{0}{0}'.format(n.x)"),
    "format of a mapping": doubling("'{a}{a}'.format_map({'a': n.x})"),
    "replace": doubling("n.x.replace('a', n.x)"),
    "replace's filter": doubling("n.x | replace('a', n.x)"),
    "replace nothing": doubling("n.x.replace('', n.x)"),
    "join": doubling("n.x.join(['a', 'b', 'c'])"),
    "join's filter": doubling("['a', 'b', 'c'] | join(n.x)"),
    "join of many": "{{ range(9999) | map('default', 'x' * 9999) | join }}",
    "join of many by a method": "{{ ''.join(range(9999) | map('string') | map('center', 999)) }}",
    "widths": "{{ '%1000000000d' % 1 }}",
    "widths that are calculated": "{{ '%*d' % (10 ** 9, 1) }}",
    "precision": "{{ '%.1000000000f' % 1.5 }}",
    "widths of str.format": "{{ '{:>1000000000}'.format(1) }}",
    "widths from arguments": "{{ '{:>{w}}'.format(1, w=10 ** 9) }}",
    "center": "{{ 'a' | center(10 ** 9) }}",
    "center's method": "{{ 'a'.center(10 ** 9) }}",
    "zfill": "{{ 'a'.zfill(10 ** 9) }}",
    "ljust through attr": "{{ ('a' | attr('ljust'))(10 ** 9) }}",
    "tabs": "{{ '\t'.expandtabs(10 ** 9) }}",
    "indent": "{{ 'a\nb' | indent(10 ** 9) }}",
    "indent of JSON": "{{ [[1]] | tojson(indent=10 ** 9) }}",
    "separators of JSON": "{{ [1, 2] | tojson(separators=('a' * 10000, 'b')) }}",
    "batch": "{{ [1] | batch(10 ** 9, 0) | list }}",
    "slice": "{{ [1] | slice(10 ** 9) | list }}",
    "sums of lists": "{{ range(9999) | map('list') | sum(start=[]) }}",
    "lorem ipsum": "{{ lipsum(n=10 ** 9) }}",
    "macros without end": MACRO,
    "macros that double": DOUBLING_MACRO,
    "arguments of arguments": HOLDS_ALL,
    "blocks without end": "{% block a %}{{ self.a() }}{% endblock %}",
    "loops that call themselves": "{% for i in [1] recursive %}{{ loop([1, 2]) }}{% endfor %}",
    "methods with tables": "{{ 'aaa'.translate({97: 'a' * 99}) }}",
    "methods of bytes": "{{ 'a'.encode('idna') }}",
    "methods of integers": "{{ (1).to_bytes(10 ** 10, 'big') }}",
    "the namespace in itself": "{% set n = namespace() %}{% set n.n = n %}{{ n }}",
    "slices": "{% set x = 'a' * 9999 %}" + "{% set y = x[1:] %}" * LOOKS,
    "searching": "{% set x = 'a' * 9999 %}{{ [" + "'b' in x, " * LOOKS + "] }}",
    "a request's tools, often": "{% for i in range(99) %}{{ tools | tojson }}{% endfor %}",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_stopped(name: str) -> None:
    """Before it has taken anything to speak of; the request gets 400."""
    tools = [{"type": "function", "function": {"description": "x" * 5000}}]
    template = ChatTemplate(BOMBS[name], budget=small)
    with pytest.raises(
        InvalidRequest, match=r"chat template (was stopped|failed|refused)"
    ) as caught:
        template.render(ASK, tools=tools)
    assert caught.value.param == "messages"
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "source",
    [
        "{{ " + "(" * 5_000 + ")" * 5_000 + " }}",
        "{{ " + "not " * 5_000 + "x }}",
        "{{ " + "-" * 5_000 + "1 }}",
        "{{ 1" + " + 1" * 5_000 + " }}",
        "{{ x" + ".x" * 5_000 + " }}",
        "{{ x" + "|trim" * 5_000 + " }}",
        "{% if x %}" * 5_000,
        "{{ " + "9" * 5_000 + " }}",
        "{{ x | urlize }}",
        "x" * (MAX_SOURCE + 1),
    ],
)
def test_what_cannot_be_compiled_is_no_template(source: str) -> None:
    """A reason at each request, and nothing more; loading goes on."""
    template = ChatTemplate(source, budget=small)
    variables(source)
    with pytest.raises((UnsupportedParameter, InvalidRequest)):
        template.render(ASK)
    ChatTemplate("{{ messages[0].content }}").render(ASK)


def test_nothing_is_calculated_ahead_of_time() -> None:
    """A bomb of constants does not go off while the template is compiled."""
    ChatTemplate("{% if false %}{{ 'a' * 10 ** 10 }}{{ 'a' | center(10 ** 10) }}{% endif %}")


def test_each_rendering_has_a_budget_of_its_own() -> None:
    """What one took, the next one has."""
    template = ChatTemplate("{{ 'a' * 60000 }}", budget=partial(Budget, SPACE))
    for _ in range(5):
        assert len(template.render(ASK)) == 60_000


def test_what_templates_do_still_works() -> None:
    """Plus, next to each other, slices, membership, format and the filters that count."""
    source = """{%- set n = namespace(a=['x'], s='') -%}
{%- for m in messages[1:] -%}{%- set n.a = n.a + [m.content] -%}{%- endfor -%}
{{- n.a | join('/') }} {{ 'a' + 'b' + messages[0].role ~ 1 ~ none }} {{ 1 + 2 + 3 }} {{ 1.5 + 1 }}
{{- ' %s|%5.1f|%(x)s' is string }} {{ '%s|%5.1f' % ('y', 2) }} {{ '{:>3}|{a}'.format(7, a=8) }}
{{- 'b' in 'abc' }} {{ 'z' not in n.a }} {{ 2 ** 10 * 3 // 2 % 1000 }} {{ [1, 2] + [3] }}
{{- 'a-b'.split('-') | tojson }} {{ ' x '.strip() | upper }} {{ 'xyz'[::-1] -}}
{{ ' ' ~ 'ab'.replace('a', 'c') }}
{{- [3, 1] | sort | first }} {{ {'k': (1, 2)} | tojson(indent=1) }} {{ 9 is divisibleby 3 }}
{{- [1, 2, 3] | sum }} {{ 'a\nb' | indent(2) }} {{ '7'.rjust(3, '0') }} {{ 'a' * 3 }}"""
    messages = [ASK[0], {"role": "assistant", "content": "Yes"}]
    assert render(source, messages) == (
        "x/Yes abuser1None 6 2.5True y|  2.0   7|8True True 536 [1, 2, 3]"
        '["a", "b"] X zyx cb1 {\n "k": [\n  1,\n  2\n ]\n} True6 a\n  b 007 aaa'
    )
