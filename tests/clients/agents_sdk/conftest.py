"""The Agents SDK's two ways to speak to a model, on the server that test_clients.py started."""

from __future__ import annotations

import os
from collections.abc import Callable

import openai
import pytest
from agents import Model, OpenAIChatCompletionsModel, OpenAIResponsesModel

Make = Callable[[str], Model]


@pytest.fixture(params=[OpenAIChatCompletionsModel, OpenAIResponsesModel])
def make(request: pytest.FixtureRequest) -> Make:
    """Gives the model of an environment variable's name."""

    def model(name: str) -> Model:
        client = openai.AsyncOpenAI(
            base_url=os.environ["TRICORN_URL"] + "/v1", api_key="none", max_retries=0
        )
        found: Model = request.param(model=os.environ[name], openai_client=client)
        return found

    return model


@pytest.fixture
def scripted(make: Make) -> Model:
    """Answers with the words of the last message."""
    return make("TRICORN_SCRIPTED")


@pytest.fixture
def smollm(make: Make) -> Model:
    return make("TRICORN_MODEL")
