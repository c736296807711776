"""Which models there are"""

from __future__ import annotations

from tricorn.errors import ModelNotFound
from tricorn.gateway.openapi.answers import anthropic
from tricorn.gateway.openapi.answers import models as answers
from tricorn.gateway.openapi.failures import MANAGER, NAMED, QUERY
from tricorn.gateway.openapi.operation import Family, Operation, Parameter, json

_ANTHROPIC = Parameter(
    "anthropic-version", "There: the answer is in Anthropic's shape.", place="header"
)

FAMILY = Family(
    "Models",
    "Which models there are, and what they can do.",
    (
        Operation(
            "get",
            "/v1/models",
            "listModels",
            "Models that can be asked for, loaded or not",
            parameters=(
                _ANTHROPIC,
                Parameter(
                    "limit",
                    "Anthropic's: how many.",
                    {"type": "integer", "minimum": 1, "maximum": 1000},
                ),
                Parameter("after_id", "Anthropic's: the model that the page begins behind."),
                Parameter("before_id", "Anthropic's: the model that the page ends before."),
            ),
            answers=(json(answers.ModelList, anthropic.AnthropicModels),),
            errors=(*MANAGER, *QUERY),
        ),
        Operation(
            "get",
            "/v1/models/{model}",
            "getModel",
            "One model",
            parameters=(_ANTHROPIC,),
            answers=(json(answers.Model, anthropic.AnthropicModel),),
            errors=(*MANAGER, *NAMED, ModelNotFound),
        ),
        Operation(
            "get",
            "/v1/models/{model}/capabilities",
            "getModelCapabilities",
            "What becomes of every parameter with this model",
            answers=(json(answers.ModelCapabilities),),
            errors=(*MANAGER, *NAMED, ModelNotFound),
        ),
    ),
)
