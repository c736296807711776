"""Plausible values for the families beside chat completions; see `parameter_examples`."""

from __future__ import annotations

from typing import Any

from tests import images

Fields = dict[str, Any]

USER: Any = {"role": "user", "content": "Hi"}
SCHEMA: Any = {"type": "object", "properties": {"a": {"type": "string"}}}
FUNCTION: Any = {"type": "function", "name": "f", "parameters": SCHEMA}
TOOL: Any = {"name": "f", "input_schema": SCHEMA}
FORMAT: Any = {"type": "json_schema", "schema": SCHEMA}

BASE: dict[str, Fields] = {
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"messages": [USER], "max_tokens": 20},
    "/api/chat": {"messages": [USER]},
    "/api/generate": {"prompt": "Hi"},
    "/api/embed": {"input": "Hi"},
    "/api/embeddings": {"prompt": "Hi"},
}

BUDGETS: Fields = {
    "thinking_budget": 5,
    "thinking_token_budget": 5,
    "thinking_budget_tokens": 5,
    "reasoning_budget_tokens": 5,
}
RESPONSES: Fields = {
    **BUDGETS,
    "instructions": "Be brief.",
    "truncation": "auto",
    "tools": [FUNCTION],
    "tool_choice": "auto",
    "parallel_tool_calls": True,
    "max_tool_calls": 3,
    "text": {"format": {"type": "text"}},
    "reasoning": {},
    "enable_thinking": False,
    "chat_template_kwargs": {"a": 1},
    "max_output_tokens": 8,
    "top_logprobs": 2,
    "include": ["message.output_text.logprobs"],
    "previous_response_id": "the test's own",
    "background": True,
    "conversation": "c",
    "prompt": {"id": "p"},
    "moderation": {"model": "m"},
    "context_management": [{"type": "compaction"}],
    "image": "x",
    "access_programs": ["x"],
    "continue_final_message": True,
    "add_generation_prompt": False,
    "stream_options": {},
}
"""Beside those that it shares with chat completions."""

_GENERATION: Fields = {
    "options": {"temperature": 0.5},
    "keep_alive": "5m",
    "stream": False,
    "format": "json",
    "think": True,
    "logprobs": True,
    "top_logprobs": 2,
    "truncate": True,
    "shift": True,
    "_debug_render_only": True,
}
EXAMPLES: dict[str, Fields] = {
    "/v1/messages": {
        "system": "Be brief.",
        "tools": [TOOL],
        "tool_choice": {"type": "auto"},
        "thinking": {"type": "adaptive"},
        "output_config": {"effort": "low"},
        "output_format": FORMAT,
        "context_management": {"edits": []},
        "stream": True,
        "stop_sequences": ["x"],
        "temperature": 0.5,
        "top_p": 0.5,
        "top_k": 5,
        "metadata": {"user_id": "u"},
        "cache_control": {"type": "ephemeral"},
        "diagnostics": {},
        "user_profile_id": "u",
        "anthropic_version": "2023-06-01",
        "anthropic_beta": ["b"],
        "betas": ["b"],
        "service_tier": "priority",
        "speed": "fast",
        "inference_geo": "eu",
        "container": {"id": "c"},
        "mcp_servers": [{"type": "url"}],
        "compaction": {"a": 1},
        "fallbacks": ["m"],
        "thread": {"a": 1},
    },
    "/api/chat": {**_GENERATION, "tools": [{"type": "function", "function": {"name": "f"}}]},
    "/api/generate": {
        **_GENERATION,
        "suffix": "!",
        "system": "Be brief.",
        "images": [images.data_url(images.png()).partition(",")[2]],
        "raw": True,
        "template": "{{ .Prompt }}",
        "context": [1],
        "width": 5,
        "height": 5,
        "steps": 5,
    },
    "/api/embed": {
        "options": {"num_ctx": 64},
        "keep_alive": 5,
        "truncate": True,
        "dimensions": 4,
    },
    "/api/embeddings": {"options": {"num_ctx": 64}, "keep_alive": 5},
}


_STREAMED: Fields = {"stream_options": {"stream": True}}
_TOP: Fields = {"top_logprobs": {"logprobs": True}}
WITH: dict[str, Fields] = {
    "/v1/responses": {
        **_STREAMED,
        "ignore_eos": {"max_output_tokens": 4},
        "tool_choice": {"tools": [FUNCTION]},
        "parallel_tool_calls": {"tools": [FUNCTION]},
    },
    "/v1/messages": {"tool_choice": {"tools": [TOOL]}},
    "/api/chat": _TOP,
    "/api/generate": _TOP,
}


def _input(part: Fields) -> Fields:
    return {"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}, part]}]}


def _content(part: Fields) -> Fields:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}, part]}]}


_NAMED: Any = {"type": "function", "name": "f"}
IN_RESPONSES: dict[tuple[str, str], Fields] = {
    ("input", "[].content[].input_image"): _input(
        {"type": "input_image", "image_url": images.data_url(images.png())}
    ),
    ("input", "[].content[].input_file"): _input({"type": "input_file", "file_id": "x"}),
    ("input", "[].content[].input_audio"): _input({"type": "input_audio", "input_audio": {}}),
    ("tools", "[].strict"): {"tools": [FUNCTION | {"strict": True}]},
    ("tool_choice", "required"): {"tools": [FUNCTION], "tool_choice": "required"},
    ("tool_choice", "function"): {"tools": [FUNCTION], "tool_choice": _NAMED},
    ("tool_choice", "allowed_tools"): {
        "tools": [FUNCTION],
        "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [_NAMED]},
    },
    ("parallel_tool_calls", "false"): {"tools": [FUNCTION], "parallel_tool_calls": False},
    ("text", "format.json_object"): {"text": {"format": {"type": "json_object"}}},
    ("text", "format.json_schema"): {"text": {"format": FORMAT | {"name": "n"}}},
    ("text", "verbosity"): {"text": {"verbosity": "low"}},
    ("reasoning", "effort"): {"reasoning": {"effort": "low"}},
    ("reasoning", "summary"): {"reasoning": {"summary": "auto"}},
    ("reasoning", "context"): {"reasoning": {"context": "auto"}},
    **{
        ("include", name): {"include": [name]}
        for name in (
            "reasoning.encrypted_content",
            "message.input_image.image_url",
            "file_search_call.results",
            "web_search_call.results",
            "web_search_call.action.sources",
            "computer_call_output.output.image_url",
            "code_interpreter_call.outputs",
        )
    },
}
_PICTURE: Any = {
    "type": "image",
    "source": {
        "type": "base64",
        "media_type": "image/png",
        "data": images.data_url(images.png()).partition(",")[2],
    },
}
WITHIN: dict[str, dict[tuple[str, str], Fields]] = {
    "/api/chat": {
        ("messages", "[].images"): {"messages": [USER | {"images": [_PICTURE["source"]["data"]]}]}
    },
    "/api/generate": {("prompt", "without raw"): {"prompt": "Hi"}},
    "/v1/messages": {
        ("messages", "[].content[].image"): _content(_PICTURE),
        ("messages", "[].content[].document"): _content({"type": "document", "source": {}}),
        ("tools", "[].strict"): {"tools": [TOOL | {"strict": True}]},
        ("tools", "[].type"): {"tools": [{"type": "bash_20250124", "name": "bash"}]},
        ("tool_choice", "any"): {"tools": [TOOL], "tool_choice": {"type": "any"}},
        ("tool_choice", "tool"): {"tools": [TOOL], "tool_choice": {"type": "tool", "name": "f"}},
        ("tool_choice", "disable_parallel_tool_use"): {
            "tools": [TOOL],
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True},
        },
        ("thinking", "budget_tokens"): {"thinking": {"type": "enabled", "budget_tokens": 5}},
        ("thinking", "between_tools"): {"thinking": {"type": "between_tools"}},
        ("output_config", "format"): {"output_config": {"format": FORMAT}},
        ("output_config", "task_budget"): {"output_config": {"task_budget": {"tokens": 5}}},
        ("context_management", "clear_tool_uses_20250919"): {
            "context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}
        },
    },
}
