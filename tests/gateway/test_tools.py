"""Tools and thoughts through OpenAI's own client, with scripted answers of a FakeEngine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from tests.gateway.conftest import sdk_for
from tests.gateway.engines import FakeManager
from tests.gateway.tool_answers import NOW, OSLO, THINKING, TIME, WEATHER

from tricorn.gateway.app import create_app
from tricorn.settings.config import Settings

USER: Any = [{"role": "user", "content": "Is it warm in Oslo?"}]
MODELS: dict[str, dict[str, Any]] = {
    "echo": {},
    "caller": {"answer": f"Let me see.\n{OSLO}\n{TIME}"},
    "single": {"answer": OSLO},
    "plain": {"answer": "I use <tool_call> never."},
    "held": {"constraints": True},
    "held-caller": {"constraints": True, "answer": OSLO},
    "thinker": {"answer": "<think>\nHm.\n</think>\n\nYes.", "chat_template": THINKING},
    "inside": {"answer": "Hm.\n</think>\n\nYes.", "chat_template": THINKING},
    "thinking-caller": {"answer": f"<think>Hm.</think>{OSLO}", "chat_template": THINKING},
    "stubborn": {
        "answer": "<think>\nHm.\n</think>\n\nYes.",
        "chat_template": "{{ messages[0].content }} {# </think> #}",
    },
    "unlimited": {"answer": "<think>Hm", "chat_template": THINKING, "thinking_budget": False},
    "thinking-held": {"constraints": True, "chat_template": THINKING},
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[openai.OpenAI]:
    manager = FakeManager(dict(MODELS))
    folder: Path = tmp_path_factory.mktemp("run")
    with sdk_for(create_app(Settings(run_dir=folder), manager)) as sdk:
        yield sdk
    assert manager.leased == 0
    manager.close()


def whole(client: openai.OpenAI, model: str, **fields: Any) -> ChatCompletion:
    given = {"messages": USER, "tools": [WEATHER, NOW]} | fields
    answer: ChatCompletion = client.chat.completions.create(model=model, **given)
    ChatCompletion.model_validate(answer.model_dump(), strict=True)
    return answer


def chunks(client: openai.OpenAI, model: str, **fields: Any) -> list[ChatCompletionChunk]:
    given = {"messages": USER, "tools": [WEATHER, NOW]} | fields
    found = list(client.chat.completions.create(model=model, stream=True, **given))
    for chunk in found:
        ChatCompletionChunk.model_validate(chunk.model_dump(), strict=True)
    return found


def test_calls_in_a_whole_answer(client: openai.OpenAI) -> None:
    """Calls beside content, with ids of their own, arguments as JSON text, and their reason."""
    [choice] = whole(client, "caller").choices

    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == "Let me see."
    first, second = choice.message.tool_calls or []
    assert (first.function.name, json.loads(first.function.arguments)) == (
        "get_weather",
        {"city": "Oslo"},
    )
    assert (second.function.name, second.function.arguments) == ("now", "{}")
    assert all(re.fullmatch(r"call_[A-Za-z0-9]{24}", call.id) for call in (first, second))
    assert first.id != second.id


def test_a_call_alone_has_no_content(client: openai.OpenAI) -> None:
    """content is null, not an empty string."""
    [choice] = whole(client, "single").choices

    assert choice.message.content is None
    assert choice.message.tool_calls


def test_calls_in_a_stream(client: openai.OpenAI) -> None:
    """A call begins with index, id, type and name; pieces of its arguments follow."""
    deltas = [chunk.choices[0].delta for chunk in chunks(client, "caller")]
    parts = [call for delta in deltas for call in delta.tool_calls or []]

    assert deltas[0].role == "assistant"
    assert "".join(delta.content or "" for delta in deltas) == "Let me see."
    begins = [part for part in parts if part.id]
    assert [(p.index, p.type, p.function.name) for p in begins if p.function] == [
        (0, "function", "get_weather"),
        (1, "function", "now"),
    ]
    arguments = ["", ""]
    for part in parts:
        assert part.function is not None
        assert part.id or (part.type is None and part.function.name is None)
        arguments[part.index] += part.function.arguments or ""
    assert arguments == ['{"city": "Oslo"}', "{}"]
    assert len([part for part in parts if part.index == 0]) > 5


def test_the_stream_helper_puts_it_together(client: openai.OpenAI) -> None:
    """The SDK's own accumulation gives the same message as a whole answer."""
    with client.chat.completions.stream(model="single", messages=USER, tools=[WEATHER]) as stream:
        [choice] = stream.get_final_completion().choices

    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    [call] = choice.message.tool_calls or []
    assert call.function.arguments == '{"city": "Oslo"}'


def test_several_choices(client: openai.OpenAI) -> None:
    """n > 1: every choice has its own calls, with ids of their own."""
    answer = whole(client, "single", n=3)
    ids = {call.id for choice in answer.choices for call in choice.message.tool_calls or []}
    streamed = {
        (chunk.choices[0].index, call.id)
        for chunk in chunks(client, "single", n=2)
        for call in chunk.choices[0].delta.tool_calls or []
        if call.id
    }

    assert len(ids) == 3
    assert sorted(index for index, _ in streamed) == [0, 1]


def test_text_that_looks_like_a_call(client: openai.OpenAI) -> None:
    """It is content, whole and streamed; without tools even a call's markup is."""
    assert whole(client, "plain").choices[0].message.content == MODELS["plain"]["answer"]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks(client, "plain"))
    assert text == MODELS["plain"]["answer"]
    answer = client.chat.completions.create(model="single", messages=USER)
    assert answer.choices[0].message.content == OSLO
    assert answer.choices[0].finish_reason == "stop"


def test_a_cut_call(client: openai.OpenAI) -> None:
    """Cut by max_tokens the reason is length; the call is there as far as it got."""
    [choice] = whole(client, "single", max_tokens=OSLO.index("Oslo") + 2).choices
    [call] = choice.message.tool_calls or []

    assert choice.finish_reason == "length"
    assert call.function.arguments == '{"city": "Os'
    [choice] = whole(client, "single", max_tokens=20).choices
    assert (choice.finish_reason, choice.message.tool_calls) == ("length", None)
    assert choice.message.content == ""


def test_the_older_form(client: openai.OpenAI) -> None:
    """Who sends `functions` gets `function_call`, streamed in the same way."""
    functions = [WEATHER["function"]]
    [choice] = whole(
        client, "held-caller", tools=openai.omit, functions=functions,
        function_call={"name": "get_weather"},
    ).choices  # fmt: skip

    assert choice.finish_reason == "function_call"
    assert choice.message.tool_calls is None
    assert choice.message.function_call is not None
    assert json.loads(choice.message.function_call.arguments) == {"city": "Oslo"}
    found = chunks(client, "held-caller", tools=openai.omit, functions=functions)
    parts = [c.choices[0].delta.function_call for c in found if c.choices[0].delta.function_call]
    assert parts[0].name == "get_weather"
    assert "".join(part.arguments or "" for part in parts) == '{"city": "Oslo"}'
    assert found[-1].choices[0].finish_reason == "function_call"


def test_the_model_is_told_of_the_tools(client: openai.OpenAI) -> None:
    """A template that knows no tools: they are described in the system message, calls and results
    are replayed as text, and all of it counts as the prompt."""
    call = {"id": "c", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    story: Any = [
        *USER,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "noon", "tool_call_id": "c"},
    ]
    told = whole(client, "plain", messages=story).usage
    untold = whole(client, "plain", messages=story, tools=[]).usage
    none = whole(client, "plain", messages=story, tool_choice="none").usage

    assert told is not None
    assert untold is not None
    assert none is not None
    assert told.prompt_tokens > untold.prompt_tokens + 200
    assert none.prompt_tokens == untold.prompt_tokens
    last = whole(client, "echo", messages=story, tool_choice="none").choices[0].message.content
    assert last == "</tool_response>"


def grammar(client: openai.OpenAI, model: str = "held", **fields: Any) -> str:
    """The constraint that reached the engine, whose answer to one is its text."""
    return str(whole(client, model, **fields).choices[0].message.content)


def test_calls_are_enforced(client: openai.OpenAI) -> None:
    """required and named allow nothing but calls; auto allows text beside them."""
    required = grammar(client, tool_choice="required")
    named = grammar(client, tool_choice={"type": "function", "function": {"name": "now"}})
    auto = grammar(client)

    assert re.search(r"^start: +calls$", required, re.M)
    assert "get_weather" in required
    assert re.search(r"^start: +calls$", named, re.M)
    assert "get_weather" not in named
    assert "further_call{0," in required
    assert "further_call{0," not in named
    assert re.search(r"^start: .*PLAIN", auto, re.M)


def test_a_schema_beside_tools(client: openai.OpenAI) -> None:
    """tools and response_format: a call, or an answer that follows the schema."""
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"title": "Mine"}}}
    text = grammar(client, response_format=form)

    assert re.search(r"^start: .*calls \| %json .*Mine", text, re.M)


def test_what_cannot_be_enforced_is_refused(client: openai.OpenAI) -> None:
    """An engine without constraints: calls may be recognised, not demanded."""
    strict = {"type": "function", "function": WEATHER["function"] | {"strict": True}}
    for fields in (
        {"tool_choice": "required"},
        {"tools": [strict]},
        {"parallel_tool_calls": False},
    ):
        with pytest.raises(openai.BadRequestError) as caught:
            whole(client, "single", **fields)
        assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "tools")
    with pytest.raises(openai.BadRequestError) as caught:
        whole(client, "held", extra_body={"structured_outputs": {"grammar": 'start: "a"'}})
    assert caught.value.param == "structured_outputs.grammar"


def test_thoughts_are_split_off(client: openai.OpenAI) -> None:
    """Under both names, counted, streamed, and never in the content."""
    for model, effort in (("thinker", openai.omit), ("inside", "high")):
        answer = whole(client, model, tools=openai.omit, reasoning_effort=effort)
        message = answer.choices[0].message
        assert message.content == "Yes."
        assert message.model_extra == {"reasoning_content": "Hm.", "reasoning": "Hm."}
        assert answer.usage is not None
        assert answer.usage.completion_tokens_details is not None
        thought = MODELS[model]["answer"].index("</think>") + len("</think>")
        counted = answer.usage.completion_tokens_details.reasoning_tokens
        assert counted is not None
        assert thought - len("<think>") <= counted <= thought

        found = chunks(client, model, tools=openai.omit, reasoning_effort=effort)
        deltas = [chunk.choices[0].delta for chunk in found]
        assert "".join(delta.content or "" for delta in deltas) == "Yes."
        for name in ("reasoning", "reasoning_content"):
            assert "".join((delta.model_extra or {}).get(name, "") for delta in deltas) == "Hm."


def test_thinking_switched_off(client: openai.OpenAI) -> None:
    """A prompt whose thought is closed: what comes is the answer, whatever is in it."""
    for fields in ({"reasoning_effort": "none"}, {"extra_body": {"enable_thinking": False}}):
        [choice] = whole(client, "inside", tools=openai.omit, **fields).choices
        assert choice.message.content == MODELS["inside"]["answer"]
        assert choice.message.model_extra == {}


def test_a_thought_before_a_call(client: openai.OpenAI) -> None:
    """All three at once, in a stream that begins with none of them as content."""
    message = whole(client, "thinking-caller").choices[0].message
    assert (message.content, (message.model_extra or {})["reasoning"]) == (None, "Hm.")
    assert [call.function.name for call in message.tool_calls or []] == ["get_weather"]


def test_a_constraint_leaves_room_for_thoughts(client: openai.OpenAI) -> None:
    """A schema holds the answer; the thoughts in front of it stay free."""
    form = {"type": "json_object"}
    free = grammar(client, "thinking-held", tools=openai.omit, response_format=form)
    inside = whole(
        client, "thinking-held", tools=openai.omit, response_format=form, reasoning_effort="high"
    ).choices[0].message  # fmt: skip
    closed = grammar(
        client, "thinking-held", tools=openai.omit, response_format=form, reasoning_effort="none"
    )

    assert free.startswith("start: thought? %json")
    assert (inside.model_extra or {})["reasoning"].startswith("start: thought_end %json")
    assert closed == "{}"


def test_logprobs_are_the_contents(client: openai.OpenAI) -> None:
    """Markup and thoughts have none; the content's tokens have theirs."""
    [choice] = whole(client, "thinker", tools=openai.omit, logprobs=True).choices
    assert choice.logprobs is not None
    heard = b"".join(bytes(entry.bytes or []) for entry in choice.logprobs.content or [])
    assert heard.decode().strip() == "Yes."


@pytest.mark.parametrize(
    ("model", "budget", "thought"),
    [
        ("thinker", 3, "Hm"),
        ("stubborn", 0, None),
        ("thinker", 9, "Hm."),
        ("inside", 1, "H"),
        ("inside", 2, "Hm"),
        ("thinking-caller", 2, "Hm"),
    ],
)
def test_a_thought_has_no_more_than_its_budget(
    client: openai.OpenAI, model: str, budget: int, thought: str | None
) -> None:
    """Whole and streamed; what comes after it is the answer or the call."""
    effort = {"reasoning_effort": "high"} if model == "inside" else {}
    given: Any = {"extra_body": {"thinking_budget": budget}, **effort}
    answer = whole(client, model, **given)
    message = answer.choices[0].message
    assert getattr(message, "reasoning_content", None) == thought
    if model == "thinking-caller":
        assert message.tool_calls
        assert answer.choices[0].finish_reason == "tool_calls"
    else:
        assert message.content == "Yes."
    streamed = [chunk.choices[0].delta for chunk in chunks(client, model, **given)]
    told = "".join(getattr(delta, "reasoning_content", None) or "" for delta in streamed)
    assert told == (thought or "")


def test_a_budget_that_cannot_be_kept_is_refused(client: openai.OpenAI) -> None:
    """Naming the field."""
    with pytest.raises(openai.BadRequestError) as caught:
        whole(client, "unlimited", extra_body={"thinking_budget": 3})
    assert caught.value.param == "thinking_budget"


@pytest.mark.parametrize("stop", ["}", '"', "\n", "<tool_call>", "Oslo"])
def test_a_stop_string_leaves_a_call_whole(client: openai.OpenAI, stop: str) -> None:
    """It ends what the user sees, not a call that it happens to be in."""
    answer = whole(client, "single", stop=stop)
    [choice] = answer.choices
    [call] = choice.message.tool_calls or []
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    assert choice.finish_reason == "tool_calls"
    told = [chunk.choices[0] for chunk in chunks(client, "single", stop=stop)]
    assert told[-1].finish_reason == "tool_calls"


def test_a_stop_string_before_a_call(client: openai.OpenAI) -> None:
    """Ends the answer as it would without tools."""
    [choice] = whole(client, "caller", stop="see").choices
    assert (choice.message.content, choice.message.tool_calls) == ("Let me ", None)
    assert choice.finish_reason == "stop"
