"""Ollama's requests: what is accepted, refused with its path, and handed on."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tricorn.engines.request import Constraint, Image, SamplingParams
from tricorn.errors import InvalidRequest, RequestError, UnsupportedParameter
from tricorn.schemas.ollama.models import OllamaEmbed, OllamaShow
from tricorn.schemas.ollama.request import OllamaChat, OllamaGenerate
from tricorn.worker.protocol import ChatPrompt, FillPrompt, TextPrompt

USER: dict[str, Any] = {"role": "user", "content": "Hi"}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f"}}
CALL: dict[str, Any] = {"function": {"name": "f", "arguments": {"x": 1}}}
TEXT_CALL: dict[str, Any] = {"function": {"name": "f", "arguments": '{"x": 1}'}}


def chat(**fields: Any) -> OllamaChat:
    return OllamaChat.parse({"model": "m", "messages": [USER], **fields})[0]


def generate(**fields: Any) -> OllamaGenerate:
    return OllamaGenerate.parse({"model": "m", "prompt": "Hi", **fields})[0]


def forms(*messages: dict[str, Any]) -> list[dict[str, Any]]:
    return chat(messages=list(messages)).engine_prompt().messages


# --- options ------------------------------------------------------------------------------------


def test_defaults_are_those_of_the_other_apis() -> None:
    """Not Ollama's: the same request means the same on every route."""
    assert chat().sampling() == SamplingParams()
    assert chat().stream


def test_options() -> None:
    """Each under the engines' name for it."""
    options = {
        "temperature": 0.5,
        "top_k": 40,
        "top_p": 0.9,
        "min_p": 0.1,
        "seed": 7,
        "stop": "a",
        "num_predict": 9,
        "repeat_penalty": 1.1,
        "presence_penalty": 1,
        "frequency_penalty": -1,
    }
    assert chat(options=options).sampling() == SamplingParams(
        temperature=0.5,
        top_k=40,
        top_p=0.9,
        min_p=0.1,
        seed=7,
        stop=("a",),
        max_tokens=9,
        repetition_penalty=1.1,
        presence_penalty=1.0,
        frequency_penalty=-1.0,
    )


@pytest.mark.parametrize("limit", [-1, -2])
def test_no_limit(limit: int) -> None:
    assert chat(options={"num_predict": limit}).sampling().max_tokens is None


def test_any_seed() -> None:
    """Ollama's default, as a number."""
    assert chat(options={"seed": -1}).sampling().seed is None


def test_penalties_without_reach() -> None:
    """A look back over nothing finds nothing to penalise."""
    options = {"repeat_penalty": 2, "frequency_penalty": 1, "repeat_last_n": 0}
    assert chat(options=options).sampling() == SamplingParams()


@pytest.mark.parametrize(
    "options",
    [
        {"mirostat": 0, "tfs_z": 1, "typical_p": 1.0, "mirostat_tau": 5.0},
        {"num_keep": 5, "num_thread": 8, "num_gpu": 1, "use_mmap": True, "num_batch": 512},
        {"repeat_last_n": 64, "penalize_newline": False},
        {"repeat_penalty": 1.1, "repeat_last_n": -1, "penalize_newline": True},
        {"seed": None, "num_ctx": None},
    ],
)
def test_what_asks_for_nothing(options: dict[str, Any]) -> None:
    request, unknown = OllamaChat.parse({"model": "m", "messages": [USER], "options": options})
    assert request.sampling().temperature == 1
    assert unknown == []


@pytest.mark.parametrize(
    "options",
    [
        {"mirostat": 1},
        {"tfs_z": 0.5},
        {"typical_p": 0.9},
        {"vocab_only": True},
        {"repeat_penalty": 1.1, "repeat_last_n": 64},
        {"presence_penalty": 1, "penalize_newline": False},
    ],
)
def test_what_cannot_be_done(options: dict[str, Any]) -> None:
    """The last one is named, also in the text: Ollama's errors have no other place for it."""
    name = list(options)[-1]
    with pytest.raises(UnsupportedParameter, match=rf"'options\.{name}'") as caught:
        chat(options=options)
    assert caught.value.param == f"options.{name}"


# --- the rest -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"messages": {}}, "messages"),
        ({"messages": ["Hi"]}, "messages[0]"),
        ({"messages": [{"content": "Hi"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "thinking": "Hm"}]}, "messages[0].thinking"),
        ({"messages": [{"role": "user", "tool_calls": [CALL]}]}, "messages[0].tool_calls"),
        ({"messages": [{"role": "system", "images": ["a"]}]}, "messages[0].images"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {}}]}]},
            "messages[0].tool_calls[0].function.name",
        ),
        (
            {"messages": [{"role": "assistant", "tool_calls": [TEXT_CALL]}]},
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"tools": [{"function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "web", "function": {"name": "f"}}]}, "tools[0].type"),
        ({"tools": [TOOL, TOOL]}, "tools[1].function.name"),
        ({"format": "xml"}, "format"),
        ({"format": 1}, "format"),
        ({"think": "much"}, "think"),
        ({"think": 1}, "think"),
        ({"keep_alive": "soon"}, "keep_alive"),
        ({"keep_alive": True}, "keep_alive"),
        ({"keep_alive": "5x"}, "keep_alive"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"stream": "yes"}, "stream"),
        ({"shift": True}, "shift"),
        ({"options": []}, "options"),
        ({"options": {"temperature": "hot"}}, "options.temperature"),
        ({"options": {"num_predict": 0}}, "options.num_predict"),
        ({"options": {"num_ctx": 0}}, "options.num_ctx"),
        ({"options": {"stop": [""]}}, "options.stop"),
    ],
)  # fmt: skip
def test_refused_in_chat(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError) as caught:
        chat(**fields)
    assert caught.value.param == param
    assert param in caught.value.message or isinstance(caught.value, UnsupportedParameter)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"prompt": 1}, "prompt"),
        ({"template": "{{ .Prompt }}"}, "template"),
        ({"context": [1, 2]}, "context"),
        ({"raw": True, "system": "S"}, "system"),
        ({"raw": True, "images": ["a"]}, "images"),
        ({"suffix": "x", "think": True}, "think"),
        ({"width": 512}, "width"),
    ],
)
def test_refused_in_generate(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestError, match=f"'{param}'") as caught:
        generate(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(0, 0), (-1, math.inf), (2.5, 2.5), ("5m", 300), ("1h30m", 5400), ("-1m", math.inf), ("0", 0),
     ("-1", math.inf), ("1500ms", 1.5)],
)  # fmt: skip
def test_keep_alive(value: Any, seconds: float) -> None:
    assert chat(keep_alive=value).keep_alive == seconds


def test_format() -> None:
    assert chat(format="").constraint is None
    assert chat(format="json").constraint == Constraint("json_object", param="format")
    schema = {"type": "object", "properties": {"b": {}, "a": {}}}
    assert chat(format=schema).constraint == Constraint(
        "json_schema", '{"type":"object","properties":{"b":{},"a":{}}}', "format"
    )


def test_logprobs() -> None:
    assert chat(logprobs=True).sampling().logprobs == 0
    assert chat(logprobs=True, top_logprobs=3).sampling().logprobs == 3
    assert chat().sampling().logprobs is None


@pytest.mark.parametrize(
    ("think", "variables"),
    [
        (None, {}),
        (True, {"enable_thinking": True, "thinking": True}),
        (False, {"enable_thinking": False, "thinking": False}),
        ("low", {"reasoning_effort": "low", "enable_thinking": True, "thinking": True}),
    ],
)
def test_think(think: Any, variables: dict[str, Any]) -> None:
    assert chat(think=think).engine_prompt().template_kwargs == variables


def test_unknown_fields_are_named() -> None:
    _, unknown = OllamaChat.parse(
        {
            "model": "m",
            "messages": [{**USER, "mood": 1}],
            "tools": [{**TOOL, "colour": 1}],
            "options": {"speed": 9},
            "runner": "x",
        }
    )
    assert unknown == ["runner", "options.speed", "messages[0].mood", "tools[0].colour"]


def test_calls_and_results() -> None:
    """Ids that Ollama does not have; results find their calls by name, or by their order."""
    messages = forms(
        USER,
        {
            "role": "assistant",
            "thinking": "Hm",
            "tool_calls": [CALL, {"id": "own", "function": {"name": "g"}}, CALL],
        },
        {"role": "tool", "tool_name": "g", "content": "G"},
        {"role": "tool", "content": "F"},
        {"role": "tool", "name": "f", "content": "F2"},
        {"role": "tool", "content": "of nothing"},
    )
    assert messages[1] == {
        "role": "assistant",
        "content": None,
        "reasoning_content": "Hm",
        "tool_calls": [
            {"id": "call_1", "type": "function", **TEXT_CALL},
            {"id": "own", "type": "function", "function": {"name": "g", "arguments": "{}"}},
            {"id": "call_3", "type": "function", **TEXT_CALL},
        ],
    }
    assert messages[2] == {
        "role": "tool",
        "content": "G",
        "tool_call_id": "own",
        "name": "g",
    }
    assert [message["tool_call_id"] for message in messages[3:]] == ["call_1", "call_3", "call_4"]


def test_tools() -> None:
    """In OpenAI's shape; Ollama does not ask for the type."""
    offered = chat(tools=[{"function": {"name": "f"}}]).engine_prompt().tools
    assert offered == [
        {
            "type": "function",
            "function": {"name": "f", "parameters": {"type": "object", "properties": {}}},
        }
    ]


def test_begun_answer() -> None:
    """A last message of the assistant is gone on with; not one that is a call."""
    begun = chat(messages=[USER, {"role": "assistant", "content": "We"}]).engine_prompt()
    assert (begun.add_generation_prompt, begun.continue_final_message) == (False, True)
    called = chat(messages=[USER, {"role": "assistant", "tool_calls": [CALL]}]).engine_prompt()
    assert (called.add_generation_prompt, called.continue_final_message) == (True, False)


def test_truncate() -> None:
    """Only who asks for it gets a shortened chat."""
    assert not chat().engine_prompt().truncation
    assert chat(truncate=True).engine_prompt().truncation


def test_images() -> None:
    """Base64 as a data URL, with its path; in the chat they stand before the text."""
    call = chat(messages=[{**USER, "images": ["QUJD", "data:image/png;base64,QUJD"]}])
    assert call.image_urls() == [
        ("messages[0].images[0]", "data:;base64,QUJD"),
        ("messages[0].images[1]", "data:image/png;base64,QUJD"),
    ]
    images = [Image(b"a"), Image(b"b")]
    prompt = call.engine_prompt(images)
    assert prompt.images == images
    assert prompt.messages[0]["content"] == [
        {"type": "image"},
        {"type": "image"},
        {"type": "text", "text": "Hi"},
    ]


def test_generate_prompts() -> None:
    """A chat of one turn, a plain text, or a gap."""
    assert generate(system="S").engine_prompt() == ChatPrompt(
        [{"role": "system", "content": "S"}, {"role": "user", "content": "Hi"}]
    )
    assert generate(raw=True).engine_prompt() == TextPrompt("Hi")
    assert generate(suffix="!").engine_prompt() == FillPrompt("Hi", "!")
    seen = generate(images=["QUJD"])
    assert seen.image_urls() == [("images[0]", "data:;base64,QUJD")]
    prompt = seen.engine_prompt([Image(b"a")])
    assert isinstance(prompt, ChatPrompt)
    assert prompt.messages[0]["content"][0] == {"type": "image"}


def test_empty() -> None:
    """What asks for nothing but the model."""
    assert OllamaChat.parse({"model": "m"})[0].is_empty()
    assert OllamaGenerate.parse({"model": "m", "prompt": "", "system": "S"})[0].is_empty()
    assert not generate().is_empty()
    assert not generate(prompt="", suffix="x").is_empty()


@pytest.mark.parametrize("value", ["", [], None])
def test_nothing_to_embed(value: Any) -> None:
    assert OllamaEmbed.parse({"model": "m", "input": value})[0].input is None


def test_inputs_to_embed() -> None:
    assert OllamaEmbed.parse({"model": "m", "input": "a"})[0].input == ["a"]
    with pytest.raises(InvalidRequest) as caught:
        OllamaEmbed.parse({"model": "m", "input": ["a", ""]})
    assert caught.value.param == "input[1]"


def test_older_name_of_the_model() -> None:
    assert OllamaShow.parse({"name": "m", "verbose": True}) == (OllamaShow(model="m"), [])
