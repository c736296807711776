"""Thoughts: the models' chat template begins one where it is asked to (`thinking.jinja`)."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from tests.conformance.conftest import Served

ASKED: Any = [{"role": "user", "content": "Is the sea blue?"}]
THINK: Any = {"enable_thinking": True}
BUDGET = 6


def thought_of(message: Any) -> str:
    """Some clients read the one name, some the other."""
    assert message.reasoning_content == message.reasoning
    return str(message.reasoning_content)


def test_thoughts_are_told_apart(served: Served) -> None:
    """Reasoning: a thought is no content, and is counted"""
    answer = served.client.chat.completions.create(
        model=served.model, messages=ASKED, temperature=0, max_tokens=8, extra_body=THINK
    )
    [choice] = answer.choices
    assert choice.finish_reason == "length"
    assert not choice.message.content
    assert thought_of(choice.message)
    usage = answer.usage
    assert usage is not None
    assert usage.completion_tokens_details is not None
    assert usage.completion_tokens_details.reasoning_tokens == usage.completion_tokens == 8


def test_thoughts_in_a_stream(served: Served) -> None:
    """Reasoning: streamed as it is thought"""
    thoughts = content = ""
    for chunk in served.client.chat.completions.create(
        model=served.model, messages=ASKED, temperature=0, max_tokens=8, stream=True,
        extra_body=THINK,
    ):  # fmt: skip
        for choice in chunk.choices:
            thoughts += getattr(choice.delta, "reasoning_content", None) or ""
            content += choice.delta.content or ""
    assert thoughts
    assert not content


def test_no_thought_where_none_is_asked_for(served: Served) -> None:
    """Reasoning: off, the same text is content"""
    answer = served.client.chat.completions.create(
        model=served.model, messages=ASKED, temperature=0, max_tokens=8
    )
    message: Any = answer.choices[0].message
    assert message.content
    assert not hasattr(message, "reasoning_content")


def test_a_schema_is_of_the_answer_behind_the_thought(served: Served) -> None:
    """Reasoning: a budget ends the thought before an answer by schema, or is refused by name"""
    schema = {"type": "object", "properties": {"blue": {"type": "boolean"}}, "required": ["blue"]}
    schema["additionalProperties"] = False

    def ask() -> Any:
        return served.client.chat.completions.create(
            model=served.model, messages=ASKED, temperature=0, max_tokens=60,
            extra_body=THINK | {"thinking_budget": BUDGET},
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "sea", "schema": schema, "strict": True},
            },
        )  # fmt: skip

    if served.model == "vllm":  # this model's marks are not single tokens, which vLLM needs
        with pytest.raises(openai.BadRequestError) as refused:
            ask()
        assert refused.value.param == "thinking_budget"
        return
    [choice] = ask().choices
    assert thought_of(choice.message)
    assert choice.message.content in ('{"blue": true}', '{"blue": false}')
