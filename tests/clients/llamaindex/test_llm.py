"""LlamaIndex's OpenAILike: chat, completion, streams, tools and structured answers."""

from __future__ import annotations

import asyncio
import os
from typing import Literal

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel, Field

FRANCE = [ChatMessage(role="user", content="Name the capital of France.")]
CALL = '<tool_call>{"name": "temperature", "arguments": {"city": "Oslo"}}</tool_call>'


class Town(BaseModel):
    """A town."""

    name: str = Field(max_length=20)
    size: Literal["small", "large"]


def temperature(city: str) -> str:
    """Tells how warm it is."""
    return f"{len(city)} degrees in {city}"


TOOL = FunctionTool.from_defaults(temperature)


def test_chat(smollm: OpenAILike) -> None:
    """A whole answer, with its usage in the raw response."""
    answer = smollm.chat(FRANCE)
    assert "Paris" in (answer.message.content or "")
    assert answer.message.role == "assistant"
    assert answer.raw.usage.total_tokens > 0
    assert answer.additional_kwargs["completion_tokens"] > 0


def test_stream_chat(smollm: OpenAILike) -> None:
    """The pieces of a stream are the whole answer."""
    pieces = list(smollm.stream_chat(FRANCE))
    assert len(pieces) > 3
    assert "".join(piece.delta or "" for piece in pieces) == pieces[-1].message.content
    assert "Paris" in (pieces[-1].message.content or "")


def test_complete(smollm: OpenAILike) -> None:
    """A completion of a chat model is a chat of one message, streaming too."""
    assert "Paris" in smollm.complete("Name the capital of France.").text
    assert "Paris" in list(smollm.stream_complete("Name the capital of France."))[-1].text


def test_legacy_completions(smollm: OpenAILike) -> None:
    """With is_chat_model=False it speaks to /v1/completions."""
    smollm.is_chat_model = False
    assert "Paris" in smollm.complete("The capital of France is").text
    pieces = list(smollm.stream_complete("The capital of France is"))
    assert "Paris" in "".join(piece.delta or "" for piece in pieces)


def test_asynchronous(smollm: OpenAILike) -> None:
    """Two at a time."""

    async def both() -> list[str]:
        answers = await asyncio.gather(smollm.achat(FRANCE), smollm.achat(FRANCE))
        return [answer.message.content or "" for answer in answers]

    assert all("Paris" in text for text in asyncio.run(both()))


def test_a_tool_is_called_and_answers(scripted: OpenAILike) -> None:
    """predict_and_call runs the tool that the model names."""
    answer = scripted.predict_and_call([TOOL], user_msg=CALL)
    assert str(answer) == "4 degrees in Oslo"


def test_a_call_streams(scripted: OpenAILike) -> None:
    """The call that a stream leaves behind is whole, and no part of it is text."""
    *_, last = scripted.stream_chat_with_tools([TOOL], user_msg=CALL)
    [call] = scripted.get_tool_calls_from_response(last)
    assert (call.tool_name, call.tool_kwargs) == ("temperature", {"city": "Oslo"})
    assert not last.message.content


def test_a_tool_is_required(smollm: OpenAILike) -> None:
    """tool_required: a model that knows no tools calls one, with arguments of its schema."""
    answer = smollm.chat_with_tools(
        [TOOL],
        user_msg="How warm is it in Oslo?",
        tool_required=True,
        allow_parallel_tool_calls=False,
    )
    [call] = smollm.get_tool_calls_from_response(answer)
    assert call.tool_name == "temperature"
    assert isinstance(call.tool_kwargs["city"], str)


@pytest.mark.parametrize("by_response_format", [False, True])
def test_structured_predict(smollm: OpenAILike, by_response_format: bool) -> None:
    """An object of the class, by a tool and by response_format."""
    smollm.should_use_structured_outputs = by_response_format
    smollm.max_tokens = 150
    town = smollm.structured_predict(Town, PromptTemplate("Describe the town {town}."), town="Rome")
    assert isinstance(town, Town)
    assert town.name


def test_vectors() -> None:
    """OpenAILikeEmbedding: the like are closer than the unlike."""
    if not os.environ["TRICORN_EMBEDDER"]:
        pytest.skip("no model for vectors on this machine")
    embedding = OpenAILikeEmbedding(
        model_name=os.environ["TRICORN_EMBEDDER"],
        api_base=os.environ["TRICORN_URL"] + "/v1",
        api_key="none",
        max_retries=0,
    )
    river, stream, tax = embedding.get_text_embedding_batch(
        ["The river runs.", "A stream flows.", "Taxes are due in May."]
    )
    assert len(river) == 384
    assert embedding.similarity(river, stream) > embedding.similarity(river, tax)
