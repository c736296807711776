"""A chat in the words of the loaded model: messages, reading, and what holds the answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tricorn.chat.pieces import Reading
from tricorn.chat.tools.rules import ToolRules
from tricorn.engines.request import CallMarks, ChatPrompt, Constraint, SamplingParams, ThoughtLimit
from tricorn.engines.spec import Dialect, EngineCapabilities, LoadedModel
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


def dialogue(
    dialect: Dialect, *, constraints: bool = True, thinking_budget: bool = False
) -> Dialogue:
    able = EngineCapabilities(constraints=constraints, thinking_budget=thinking_budget)
    model = LoadedModel(100, 300, 1, able, dialect=dialect)
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


def test_ids_for_kimi() -> None:
    """Its templates know a call by an id that has the tool's name, and results by theirs."""
    told = dialogue(Dialect("kimi-k2")).adapted(chat()).messages
    call = told[1]["tool_calls"][0]
    assert call["id"] == f"functions.{call['function']['name']}:0"
    assert told[2]["tool_call_id"] == call["id"]
    assert told[2]["name"] == call["function"]["name"]
    assert STORY[1]["tool_calls"][0]["id"] != call["id"], "the request's own is as it was"


def test_plans_for_cohere() -> None:
    """Its template's name for what was thought before a call."""
    told = dialogue(Dialect("cohere", True, "cohere")).adapted(chat()).messages
    assert told[1]["tool_plan"] == "Hm"


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
        (Dialect("cohere", True, "cohere"), {}, "<|START_THINKING|><|END_THINKING|>",
         Reading("cohere", "cohere")),
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


# --- how long it may think ----------------------------------------------------------------------

THINKER = Dialect("hermes", reasoning="think")
HARMONY = Dialect("harmony", reasoning="harmony")
FINAL = "<|channel|>final<|message|>"
NEXT = "<|end|><|start|>assistant"


def limited(dialect: Dialect, prompt: str, budget: int | None, **fields: Any) -> SamplingParams:
    own = dialogue(dialect, thinking_budget=True)
    told = chat(**fields)
    sampling = SamplingParams(thinking_budget=budget)
    return own.sampling(told, own.reading(told, prompt), sampling)


@pytest.mark.parametrize("opened", [True, False])
def test_thinking_budget(opened: bool) -> None:
    """Becomes tokens that end a thought, whether the prompt begins it or the answer."""
    found = limited(THINKER, "<think>\n" if opened else "assistant: ", 5)
    assert found.thought_limit == ThoughtLimit(5, "<think>", "</think>", ((9,),), opened)


@pytest.mark.parametrize(
    ("dialect", "prompt"), [(THINKER, "<think></think>"), (Dialect("hermes"), "")]
)
def test_where_nothing_is_thought_there_is_no_limit(dialect: Dialect, prompt: str) -> None:
    """The budget is kept by itself."""
    assert limited(dialect, prompt, 5).thought_limit is None


def test_thoughts_without_a_budget_have_no_limit() -> None:
    """And an engine that knows none is not asked for one."""
    assert limited(THINKER, "", None).thought_limit is None
    own = dialogue(THINKER)
    reading = own.reading(chat(), "")
    assert own.sampling(chat(), reading, SamplingParams()).thought_limit is None
    with pytest.raises(UnsupportedParameter, match="thinking_budget") as caught:
        own.sampling(chat(), reading, SamplingParams(thinking_budget=5))
    assert caught.value.param == "thinking_budget"


@pytest.mark.parametrize(
    ("fields", "endings"),
    [
        ({"tools": None}, [NEXT + FINAL]),
        ({}, [NEXT, NEXT + FINAL]),
        ({"rules": ToolRules(required=True)}, [f"{NEXT}<|channel|>commentary"]),
    ],
)
def test_thoughts_in_channels(fields: dict[str, Any], endings: list[str]) -> None:
    """Are ended by the beginning of what has to come; where that is open, the model has a choice
    once."""
    found = limited(HARMONY, "<|start|>assistant", 5, **fields).thought_limit
    assert found is not None
    assert found.again
    assert [bytes(tokens).decode() for tokens in found.forced] == endings


@pytest.mark.parametrize(
    ("tools", "marks"),
    [
        ("hermes", CallMarks(("<tool_call>",), "</tool_call>")),
        ("mistral", CallMarks(("[TOOL_CALLS]",))),
        ("deepseek", CallMarks(("<｜tool▁calls▁begin｜>",), "<｜tool▁calls▁end｜>")),
        ("harmony", CallMarks(("<|channel|>commentary",))),
        ("pythonic", CallMarks(("<|python_start|>", "<|python_end|>", "[f("), first=True)),
        (
            "llama",
            CallMarks(("<|python_tag|>", '{"name"', '{"type"', '{"function"'), first=True),
        ),
        ("emulated", CallMarks(("<tool_call>",), "</tool_call>")),
    ],
)
def test_where_calls_are(tools: str, marks: CallMarks) -> None:
    """Told to engines, since stop strings do not count there; without tools there are none."""
    own = dialogue(Dialect(tools, reasoning="think"))
    for offered, expected in ((chat(), marks), (chat(tools=None), None)):
        found = own.sampling(offered, own.reading(offered, ""), SamplingParams(stop=("}",)))
        assert found.calls == expected
