"""A plausible value of every parameter, for the test that asks for each of them.

EXAMPLES: endpoint → parameter → value; WITH: what else it takes to mean something, likewise.
WITHIN: endpoint → (parameter, part) → the fields that ask for that part.
"""

from __future__ import annotations

from typing import Any

from tests import images
from tests.gateway import other_parameter_examples as other

Fields = dict[str, Any]

USER: Any = {"role": "user", "content": "Hi"}
PARAMETERS = {"type": "object", "properties": {"a": {"type": "string"}}}
TOOL: Any = {"type": "function", "function": {"name": "f", "parameters": PARAMETERS}}
STRICT: Any = {"type": "function", "function": {"name": "f", "strict": True}}
FORMAT: Any = {"type": "json_schema", "json_schema": {"name": "n", "schema": PARAMETERS}}

BASE: dict[str, Fields] = {
    **other.BASE,
    "/v1/chat/completions": {"messages": [USER]},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/embeddings": {"input": "Hi"},
    "/v1/rerank": {"query": "Hi", "documents": ["Ho", "Hi"]},
    "/v1/score": {"text_1": "Hi", "text_2": ["Ho", "Hi"]},
}
"""What each endpoint cannot do without, beside the model."""

_SHARED: Fields = {
    "user": "u",
    "safety_identifier": "s",
    "prompt_cache_key": "k",
    "prompt_cache_retention": "24h",
    "prompt_cache_options": {"mode": "auto"},
    "metadata": {"a": "b"},
    "store": True,
    "service_tier": "flex",
    "guided_decoding_backend": "auto",
    "guided_whitespace_pattern": " ?",
    "use_beam_search": True,
    "truncate_prompt_tokens": 5,
}
_SAMPLING: Fields = {
    "stream": True,
    "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    "temperature": 0.7,
    "top_p": 0.9,
    "n": 2,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "logit_bias": {"5": 1},
    "seed": 3,
    "stop": ["x"],
    "top_k": 5,
    "min_p": 0.1,
    "repetition_penalty": 1.1,
    "repeat_penalty": 1.1,
    "min_tokens": 1,
    "ignore_eos": True,
    "stop_token_ids": [5],
    "priority": 1,
    "max_tokens": 8,
    "prompt_logprobs": 1,
    "response_format": FORMAT,
    "structured_outputs": {"regex": "a"},
    "guided_json": PARAMETERS,
    "guided_regex": "a",
    "guided_choice": ["a", "b"],
    "guided_grammar": 'root ::= "a"',
    "grammar": 'root ::= "a"',
    "json_schema": PARAMETERS,
}
_POOLING: Fields = {
    "user": "u",
    "safety_identifier": "s",
    "truncate_prompt_tokens": 5,
    "truncation": True,
    "priority": 1,
}
EXAMPLES: dict[str, Fields] = {
    **other.EXAMPLES,
    "/v1/responses": {**_SHARED, **_SAMPLING, **other.RESPONSES},
    "/v1/chat/completions": {
        **_SHARED,
        **_SAMPLING,
        "max_completion_tokens": 8,
        "logprobs": True,
        "top_logprobs": 2,
        "tools": [TOOL],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "functions": [TOOL["function"]],
        "function_call": "auto",
        "reasoning_effort": "low",
        "enable_thinking": False,
        "verbosity": "low",
        "chat_template_kwargs": {"a": 1},
        **other.BUDGETS,
        "add_generation_prompt": True,
        "continue_final_message": True,
        "truncation": "auto",
        "keep_alive": "5m",
        "modalities": ["text", "audio"],
        "audio": {"voice": "v", "format": "wav"},
        "prediction": {"type": "content", "content": "Hi"},
        "moderation": {"model": "m"},
        "web_search_options": {},
    },
    "/v1/completions": {
        **_SHARED,
        **_SAMPLING,
        "echo": True,
        "logprobs": 1,
        "best_of": 2,
        "suffix": "!",
        "keep_alive": 60,
    },
    "/v1/embeddings": {
        **_POOLING,
        "keep_alive": "1h30m",
        "encoding_format": "base64",
        "dimensions": 4,
        "messages": [USER],
        "normalize": False,
        "normalized": False,
        "add_special_tokens": False,
        "embedding_type": "int8",
        "embedding_types": ["int8"],
    },
    "/v1/rerank": {
        **_POOLING,
        "top_n": 1,
        "return_documents": True,
        "max_tokens_per_doc": 5,
        "max_chunks_per_doc": 5,
        "rank_fields": ["title"],
    },
    "/v1/score": _POOLING,
}

_TOOLS: Fields = {"tools": [TOOL]}
_ANY: Fields = {"stream_options": {"stream": True}, "ignore_eos": {"max_tokens": 4}}
WITH: dict[str, Fields] = {
    **other.WITH,
    "/v1/chat/completions": {
        **_ANY,
        "top_logprobs": {"logprobs": True},
        "tool_choice": _TOOLS,
        "parallel_tool_calls": _TOOLS,
        "function_call": {"functions": [TOOL["function"]]},
        "continue_final_message": {"messages": [USER, {"role": "assistant", "content": "I"}]},
    },
    "/v1/completions": _ANY,
}


def _content(part: Fields) -> Fields:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, part]}]}


_STRUCTURED = {
    ("structured_outputs", name): {"structured_outputs": {"regex": "a", name: True}}
    for name in (
        "whitespace_pattern",
        "disable_any_whitespace",
        "disable_additional_properties",
        "disable_fallback",
    )
} | {("structured_outputs", "structural_tag"): {"structured_outputs": {"structural_tag": "x"}}}
_STREAMED = {
    ("stream_options", "include_obfuscation"): {
        "stream": True,
        "stream_options": {"include_obfuscation": True},
    }
}
WITHIN: dict[str, dict[tuple[str, str], Fields]] = {
    **other.WITHIN,
    "/v1/responses": {**_STRUCTURED, **_STREAMED, **other.IN_RESPONSES},
    "/v1/chat/completions": {
        **_STRUCTURED,
        **_STREAMED,
        ("messages", "[].content[].image_url"): _content(images.part(images.png())),
        **{
            ("messages", f"[].content[].{kind}"): _content({"type": kind, kind: {}})
            for kind in ("input_audio", "file", "video_url", "audio_url")
        },
        ("tools", "[].custom"): {"tools": [{"type": "custom", "custom": {"name": "f"}}]},
        ("tools", "[].function.strict"): {"tools": [STRICT]},
        ("tool_choice", "required"): {**_TOOLS, "tool_choice": "required"},
        ("tool_choice", "function"): {
            **_TOOLS,
            "tool_choice": {"type": "function", "function": {"name": "f"}},
        },
        ("tool_choice", "allowed_tools"): {
            **_TOOLS,
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "auto",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            },
        },
        ("tool_choice", "custom"): {
            **_TOOLS,
            "tool_choice": {"type": "custom", "custom": {"name": "f"}},
        },
        ("parallel_tool_calls", "false"): {**_TOOLS, "parallel_tool_calls": False},
    },
    "/v1/completions": {
        **_STRUCTURED,
        **_STREAMED,
        ("echo", "true, with logprobs"): {"echo": True, "logprobs": 1},
    },
}
