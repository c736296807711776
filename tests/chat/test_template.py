"""Chat templates against what transformers renders of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from tricorn.chat.template import ChatTemplate
from tricorn.errors import InvalidRequest, UnsupportedParameter

CHATML = """{% for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""

ASK = [{"role": "user", "content": "Hi"}]


def render(source: str, messages: list[dict[str, Any]] = ASK, **options: Any) -> str:
    return ChatTemplate(source, bos_token="<s>", eos_token="</s>").render(messages, **options)


def test_a_chatml_template_renders_as_in_transformers() -> None:
    """Messages and the opening of the answer, with no stray white space."""
    assert render(CHATML) == "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"


def test_the_opening_of_the_answer_can_be_left_out() -> None:
    """add_generation_prompt=False ends after the last message."""
    assert render(CHATML, add_generation_prompt=False) == "<|im_start|>user\nHi<|im_end|>\n"


def test_blocks_take_their_line_with_them() -> None:
    """trim_blocks eats the newline after a block, lstrip_blocks the indent before it."""
    source = "A\n   {% if true %}\n  b\n   {% endif %}\nC\n"
    assert render(source) == "A\n  b\nC"


def test_special_tokens_are_variables() -> None:
    """bos_token and eos_token hold the model's."""
    assert render("{{ bos_token }}x{{ eos_token }}") == "<s>x</s>"


def test_tojson_does_not_escape_for_html_or_ascii() -> None:
    """jinja2's own filter would write \\u003c; a prompt must not have it."""
    messages = [{"role": "user", "content": "<a href='x'>&é你</a>"}]
    assert render("{{ messages[0] | tojson }}", messages) == (
        '{"role": "user", "content": "<a href=\'x\'>&é你</a>"}'
    )


def test_tojson_takes_the_arguments_of_json_dumps() -> None:
    """indent and separators mean what they mean in Python, and keys keep their order."""
    assert render("{{ {'b': 1, 'a': 2} | tojson(indent=2) }}") == '{\n  "b": 1,\n  "a": 2\n}'
    assert render("{{ {'b': 1} | tojson(separators=(',', ':')) }}") == '{"b":1}'


def test_loop_controls_work() -> None:
    """break and continue are there, as in transformers."""
    source = "{% for i in range(9) %}{% if i == 1 %}{% continue %}{% endif %}{% if i == 4 %}{% break %}{% endif %}{{ i }}{% endfor %}"  # noqa: E501
    assert render(source) == "023"


def test_generation_marks_are_their_content() -> None:
    """`{% generation %}` is for training; its content stays, and sees the loop's variables."""
    source = (
        "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}!{% endfor %}"
    )
    assert render(source) == "Hi!"


def test_a_template_can_refuse_a_chat() -> None:
    """raise_exception becomes a 400 about `messages` with the template's own words."""
    with pytest.raises(InvalidRequest, match="roles must alternate") as caught:
        render("{{ raise_exception('roles must alternate') }}")
    assert caught.value.param == "messages"


@pytest.mark.parametrize(
    "source",
    [
        "{{ messages[0].content + 1 }}",
        "{{ messages[7].content }}",
        "{{ 1 // 0 }}",
        "{{ '{0} {1}'.format(1) }}",
        "{{ messages | dictsort }}",
        "{{ missing | tojson }}",
    ],
)
def test_a_template_that_fails_on_a_chat_is_a_bad_request(source: str) -> None:
    """Whatever a template trips over in the messages, the caller hears of `messages`."""
    with pytest.raises(InvalidRequest) as caught:
        render(source)
    assert caught.value.param == "messages"


def test_strftime_now_is_the_time_now() -> None:
    """The year is today's (before or after the turn of it)."""
    before = datetime.now().strftime("%Y")
    assert render("{{ strftime_now('%Y') }}") in {before, datetime.now().strftime("%Y")}


def test_tools_reach_the_template() -> None:
    """`tools` holds what was given, and is none without."""
    source = (
        "{% if tools %}{% for t in tools %}{{ t.function.name }};{% endfor %}{% else %}-{% endif %}"
    )
    tools = [
        {"type": "function", "function": {"name": "add"}},
        {"type": "function", "function": {"name": "sub"}},
    ]
    assert render(source, tools=tools) == "add;sub;"
    assert render(source) == "-"


def test_template_kwargs_are_variables_but_do_not_replace_the_chat() -> None:
    """enable_thinking and the like arrive; `messages` stays the caller's messages."""
    source = "{{ enable_thinking }} {{ messages[0].content }}"
    kwargs = {"enable_thinking": False, "messages": []}
    assert render(source, template_kwargs=kwargs) == "False Hi"


def test_continue_final_message_leaves_the_last_message_open() -> None:
    """Everything after the last message's text is cut, the opening of an answer too."""
    messages = [*ASK, {"role": "assistant", "content": "Hello, I"}]
    assert render(CHATML, messages, continue_final_message=True) == (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello, I"
    )


def test_continue_final_message_cuts_at_the_last_occurrence() -> None:
    """The same text earlier in the chat does not count."""
    messages = [*ASK, {"role": "assistant", "content": "Hi"}]
    assert render(CHATML, messages, continue_final_message=True) == (
        "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHi"
    )


@pytest.mark.parametrize("content", ["", None, "kept nowhere"])
def test_continue_final_message_needs_text_that_is_kept(content: str | None) -> None:
    """Where the template drops the last message, the request says so by its parameter."""
    messages = [*ASK, {"role": "assistant", "content": content}]
    with pytest.raises(InvalidRequest) as caught:
        render("fixed", messages, continue_final_message=True)
    assert caught.value.param == "continue_final_message"


def test_a_model_without_a_template_cannot_chat() -> None:
    """The answer names the route that works."""
    with pytest.raises(UnsupportedParameter, match="/v1/completions"):
        ChatTemplate(None).render(ASK)


def test_a_template_that_does_not_compile_is_told_of_at_the_request() -> None:
    """The model still serves completions, so construction must not fail."""
    template = ChatTemplate("{% if %}")
    with pytest.raises(UnsupportedParameter, match="cannot be used"):
        template.render(ASK)


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ raise_exception.__globals__.x }}",
        "{{ ''['__class__'].__base__ }}",
        "{{ (''|attr('__class__')).__mro__ }}",
        "{{ '{0.__class__.__mro__}'.format('') }}",
        "{{ messages.append(1) }}",
        "{{ messages[0].update(role='system') }}",
        "{% include '/etc/passwd' %}",
        "{{ range(99999999999) }}",
    ],
)
def test_the_sandbox_refuses_a_hostile_template(source: str) -> None:
    """Neither Python's internals nor the caller's messages nor files are within reach."""
    messages = [{"role": "user", "content": "Hi"}]
    with pytest.raises(InvalidRequest):
        render(source, messages)
    assert messages == [{"role": "user", "content": "Hi"}]


def test_chats_with_tools_may_have_a_template_of_their_own() -> None:
    """Where tools are offered, and where they were called; transformers calls it tool_use."""
    both = ChatTemplate("plain", for_tools="{{ tools|length if tools else 'none' }}")
    called = [*ASK, {"role": "assistant", "content": None, "tool_calls": [{}]}]
    assert both.render(ASK) == "plain"
    assert both.render(ASK, tools=[{}]) == "1"
    assert both.render(called) == "none"
    assert both.render([*ASK, {"role": "tool", "content": "x"}]) == "none"
    assert ChatTemplate("plain").render(called) == "plain"


def test_a_broken_template_for_tools_is_told_when_it_is_used() -> None:
    """Other chats need it not."""
    broken = ChatTemplate("plain", for_tools="{% if")
    assert broken.render(ASK) == "plain"
    with pytest.raises(UnsupportedParameter, match="cannot be used"):
        broken.render(ASK, tools=[{}])
