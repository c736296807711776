"""A chat in the words of the loaded model: messages, reading, and what holds the answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tricorn.chat.pieces import Reading
from tricorn.chat.tools.rules import ToolRules
from tricorn.engines.base import (
    ChatPrompt,
    Constraint,
    Dialect,
    EngineCapabilities,
    LoadedModel,
    SamplingParams,
)
from tricorn.errors import InvalidRequest, UnsupportedParameter
from tricorn.worker.dialogue import Dialogue

TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {}}}
STRICT: dict[str, Any] = {"type": "function", "function": {"name": "f", "strict": True}}
CALL = {"id": "call_123", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
STORY: list[dict[str, Any]] = [
    {"role": "user", "content": "Q"},
    {"role": "assistant", "content": None, "tool_calls": [CALL], "reasoning_content": "Hm"},
    {"role": "tool", "content": "R", "tool_call_id": "call_123"},
    {"role": "tool", "content": "S", "tool_call_id": "call_123"},
]


class Vocabulary:
    """An engine's tokenizer in which a few texts are a token."""

    tokens = {"<tool_call>": 7, "[TOOL_CALLS]": 8, "</think>": 9}

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        known = self.tokens.get(text)
        return list(text.encode()) if known is None else [known]


def dialogue(dialect: Dialect, *, constraints: bool = True) -> Dialogue:
    model = LoadedModel(100, 300, 1, EngineCapabilities(constraints=constraints), dialect=dialect)
    return Dialogue(Vocabulary(), model)  # type: ignore[arg-type]


def chat(**fields: Any) -> ChatPrompt:
    return ChatPrompt(**({"messages": STORY, "tools": [TOOL]} | fields))


def test_emulated_messages() -> None:
    """Tools in the system message, calls and results as plain text, one turn for all results."""
    told = dialogue(Dialect()).adapted(chat())

    assert told.tools is None
    assert [m["role"] for m in told.messages] == ["system", "user", "assistant", "user"]
    assert '"name": "f"' in told.messages[0]["content"]
    assert told.messages[2]["content"] == (
        '<tool_call>\n{"name": "f", "arguments": {"a": 1}}\n</tool_call>'
    )
    assert told.messages[3]["content"] == (
        "<tool_response>\nR\n</tool_response>\n<tool_response>\nS\n</tool_response>"
    )
    system = {"role": "system", "content": "Be brief."}
    told = dialogue(Dialect()).adapted(chat(messages=[system, *STORY]))
    assert told.messages[0]["content"].startswith("Be brief.\n\nYou can call")
    assert told.messages[1]["role"] == "user"
    assert system["content"] == "Be brief."


def test_emulation_without_a_system_message() -> None:
    """The user's first message begins with it, where the template has no other place."""
    told = dialogue(Dialect(system_role=False)).adapted(chat())

    assert [m["role"] for m in told.messages] == ["user", "assistant", "user"]
    assert told.messages[0]["content"].startswith("You can call")
    assert told.messages[0]["content"].endswith("\n\nQ")


def test_a_chat_without_tools_stays() -> None:
    """Nothing is added where nothing was asked."""
    plain = chat(messages=STORY[:1], tools=None)
    assert dialogue(Dialect()).adapted(plain) == plain


def test_arguments_as_the_template_takes_them() -> None:
    """An object or text; what is no object is refused with its path."""
    as_object = dialogue(Dialect("hermes")).adapted(chat()).messages
    as_text = dialogue(Dialect("deepseek", False)).adapted(chat()).messages

    assert as_object[1]["tool_calls"][0]["function"]["arguments"] == {"a": 1}
    assert as_text == [STORY[0], {**STORY[1], "content": ""}, *STORY[2:]]
    null = dialogue(Dialect("deepseek", False, empty_content=False)).adapted(chat()).messages
    assert null == STORY
    broken = msgspec.json.decode(msgspec.json.encode(STORY).replace(b'{\\"a\\": 1}', b"[1]"))
    with pytest.raises(InvalidRequest) as caught:
        dialogue(Dialect("hermes")).adapted(chat(messages=broken))
    assert caught.value.param == "messages[1].tool_calls[0].function.arguments"


def test_ids_for_mistral() -> None:
    """Its templates want nine letters and digits, the same for a call and its result."""
    told = dialogue(Dialect("mistral")).adapted(chat()).messages
    call_id = told[1]["tool_calls"][0]["id"]

    assert len(call_id) == 9
    assert call_id.isalnum()
    assert told[2]["tool_call_id"] == call_id


def test_thoughts_for_harmony() -> None:
    """Its template has a name of its own for what was thought before a call."""
    told = dialogue(Dialect("harmony", True, "harmony")).adapted(chat()).messages
    assert told[1]["thinking"] == "Hm"


@pytest.mark.parametrize(
    ("dialect", "fields", "end", "reading"),
    [
        (Dialect(), {"tools": None}, "", None),
        (Dialect(), {}, "", Reading("emulated")),
        (Dialect("hermes", True, "think"), {"tools": None}, "x", Reading("", "think")),
        (Dialect("hermes", True, "think"), {}, "<think>\n", Reading("hermes", "think", True)),
        (Dialect("hermes", True, "think"), {}, "<think>\n\n</think>\n\n", Reading("hermes")),
        (Dialect("hermes", True, "think"), {"tools": None}, "</think>", None),
        (Dialect("hermes", True, "think"), {"tools": None, "continue_final_message": True}, "",
         None),
        (Dialect("harmony", True, "harmony"), {"tools": None}, "<|start|>assistant",
         Reading("", "harmony")),
    ],
)  # fmt: skip
def test_readings(
    dialect: Dialect, fields: dict[str, Any], end: str, reading: Reading | None
) -> None:
    """What is to be found in an answer follows from the tools and from the prompt's end."""
    assert dialogue(dialect).reading(chat(**fields), end) == reading


def held(dialect: Dialect, prompt: ChatPrompt, given: Constraint | None = None) -> SamplingParams:
    spoken = dialogue(dialect)
    return spoken.sampling(prompt, spoken.reading(prompt, ""), SamplingParams(constraint=given))


def test_native_calls_are_free_until_more_is_asked() -> None:
    """auto without strict needs no constraint; strict, a choice, or one call at most do."""
    hermes = Dialect("hermes")
    assert held(hermes, chat()).constraint is None
    assert held(Dialect(), chat()).constraint is not None
    for fields in (
        {"tools": [STRICT]},
        {"rules": ToolRules(required=True)},
        {"rules": ToolRules(only=("f",))},
        {"rules": ToolRules(parallel=False)},
    ):
        constraint = held(hermes, chat(**fields)).constraint
        assert constraint is not None
        assert (constraint.kind, constraint.param) == ("grammar", "tools")


def test_markers_that_are_tokens_are_shown() -> None:
    """Without it an engine would leave control tokens out of the text."""
    assert held(Dialect("mistral"), chat()).shown_tokens == (8,)
    assert held(Dialect("hermes", True, "think"), chat()).shown_tokens == (9, 7)
    assert held(Dialect("llama"), chat()).shown_tokens == ()


def test_what_cannot_be_held() -> None:
    """An engine without constraints, and a grammar beside tools or thoughts."""
    spoken = dialogue(Dialect("hermes"), constraints=False)
    prompt = chat(tools=[STRICT])
    with pytest.raises(UnsupportedParameter):
        spoken.sampling(prompt, spoken.reading(prompt, ""), SamplingParams())
    assert spoken.sampling(chat(), Reading("hermes"), SamplingParams()).constraint is None

    own = Constraint("grammar", 'start: "a"', "structured_outputs.grammar")
    with pytest.raises(InvalidRequest):
        held(Dialect("hermes"), chat(), own)
    thinking = dialogue(Dialect("hermes", True, "think"))
    with pytest.raises(InvalidRequest):
        thinking.sampling(
            chat(tools=None), Reading("", "think", True), SamplingParams(constraint=own)
        )
    free = thinking.sampling(chat(tools=None), Reading("", "think"), SamplingParams(constraint=own))
    assert free.constraint == own
