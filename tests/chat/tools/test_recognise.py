"""Which format a chat template is found to write: small templates in each family's manner."""

from __future__ import annotations

import msgspec
import pytest

from tricorn.chat.tools.recognise import dialect
from tricorn.engines.spec import Dialect, EngineCapabilities, LoadedModel

LISTED = "{% if tools %}<tools>{% for t in tools %}{{ t | tojson }}{% endfor %}</tools>{% endif %}"
CONTENT = "{% if m.content %}{{ m.content }}{% endif %}"
JSON_CALL = '{"name": "{{ f.name }}", "%s": {{ f.arguments | tojson }}}'


def template(
    call: str, *, before: str = "", after: str = "", between: str = "", thoughts: str = ""
) -> str:
    """A template with a turn for each role; `call` writes the function `f`."""
    return (
        f"{LISTED}{{% for m in messages %}}<|{{{{ m.role }}}}|>{CONTENT}"
        f"{{% if m.tool_calls %}}{before}{{% for c in m.tool_calls %}}{{% set f = c.function %}}"
        f"{{% if not loop.first %}}{between}{{% endif %}}{call}{{% endfor %}}{after}{{% endif %}}"
        f"<|end|>{{% endfor %}}{{% if add_generation_prompt %}}<|assistant|>{thoughts}{{% endif %}}"
    )


HERMES = template("<tool_call>\n" + JSON_CALL % "arguments" + "\n</tool_call>")
AS_TEXT = template('<tool_call>{"name": "{{ f.name }}", "arguments": ' + "{{ f.arguments + '' }}}")
DEEPSEEK = template(
    "<｜tool▁call▁begin｜>function<｜tool▁sep｜>{{ f.name }}\n```json\n{{ f.arguments + '' }}\n```"
    "<｜tool▁call▁end｜>",
    before="<｜tool▁calls▁begin｜>",
    after="<｜tool▁calls▁end｜>",
)
DEEPSEEK_V31 = template(
    "<｜tool▁call▁begin｜>{{ f.name }}<｜tool▁sep｜>{{ f.arguments + '' }}<｜tool▁call▁end｜>",
    before="<｜tool▁calls▁begin｜>",
    after="<｜tool▁calls▁end｜>",
    thoughts="{% if thinking %}<think>{% else %}</think>{% endif %}",
)
QWEN = template(
    "<tool_call>\n<function={{ f.name }}>\n{% for k, v in f.arguments.items() %}<parameter={{ k }}>"
    "\n{{ v }}\n</parameter>\n{% endfor %}</function>\n</tool_call>"
)
GLM = template(
    "<tool_call>{{ f.name }}\n{% for k, v in f.arguments.items() %}<arg_key>{{ k }}</arg_key>\n"
    "<arg_value>{{ v }}</arg_value>\n{% endfor %}</tool_call>"
)
HARMONY = template(
    "<|start|>assistant to={{ 'functions.' + f.name }}<|channel|>commentary json<|message|>"
    "{{ f.arguments | tojson }}<|call|>"
)
DSML = template(
    '<｜DSML｜invoke name="{{ f.name }}">\n{% for k, v in f.arguments.items() %}'
    "<｜DSML｜parameter name=\"{{ k }}\" string=\"{{ 'true' if v is string else 'false' }}\">"
    "{{ v }}</｜DSML｜parameter>\n{% endfor %}</｜DSML｜invoke>",
    before="<｜DSML｜function_calls>\n",
    after="\n</｜DSML｜function_calls>",
    between="\n",
)
KIMI = (
    "{% if tools %}<|im_system|>tool_declare<|im_middle|>{{ tools | tojson }}<|im_end|>{% endif %}"
    "{% for m in messages %}<|im_{{ m.role }}|>{{ m.name or m.role }}<|im_middle|>"
    "{% if m.role == 'tool' %}## Return of {{ m.tool_call_id }}\n{% endif %}{{ m.content }}"
    "{% if m.tool_calls %}<|tool_calls_section_begin|>{% for c in m.tool_calls %}"
    "<|tool_call_begin|>{{ c.id }}<|tool_call_argument_begin|>{% if c.function.arguments is string "
    "%}{{ c.function.arguments }}{% else %}{{ c.function.arguments | tojson }}{% endif %}"
    "<|tool_call_end|>{% endfor %}<|tool_calls_section_end|>{% endif %}<|im_end|>{% endfor %}"
)
COHERE = template(
    '\n    {"tool_call_id": "{{ loop.index0 }}", "tool_name": "{{ f.name }}", '
    '"parameters": {{ f.arguments | tojson }}}',
    before="<|START_THINKING|>{{ m.tool_plan }}<|END_THINKING|><|START_ACTION|>[",
    between=",",
    after="\n]<|END_ACTION|>",
)
SEED = template(
    "<seed:tool_call>\n<function={{ f.name }}>\n{% for k, v in f.arguments.items() %}"
    "<parameter={{ k }}>{{ v }}</parameter>\n{% endfor %}</function>\n</seed:tool_call>"
)
MINIMAX = template(
    '<invoke name="{{ f.name }}">\n{% for k, v in f.arguments.items() %}<parameter name="{{ k }}">'
    "{{ v if v is string else v | tojson }}</parameter>\n{% endfor %}</invoke>\n",
    before="\n<minimax:tool_call>\n",
    after="</minimax:tool_call>",
    thoughts="<think>\n{# </think> <response></response> #}",
)
GEMMA = template(
    '{% macro said(v) %}{% if v is string %}<|"|>{{ v }}<|"|>{% else %}{{ v }}{% endif %}'
    "{% endmacro %}<|tool_call>call:{{ f.name }}{{ '{' }}{% for k, v in f.arguments | dictsort %}"
    "{% if not loop.first %},{% endif %}{{ k }}:{{ said(v) }}{% endfor %}{{ '}' }}<tool_call|>",
    thoughts="{% if not enable_thinking %}<|channel>thought\n<channel|>{% endif %}",
)
FUNCTOOLS = template(JSON_CALL % "arguments", between=",").replace(
    "<tools>", "<tools>Write functools[{...}] to call one of them."
)
FORGETFUL = HERMES.replace(LISTED, "{% if tools %}{% endif %}")
BROKEN = HERMES.replace('"name"', '"nome"')
NULL_ONLY = HERMES.replace(
    CONTENT, "{% if m.content == '' %}{{ raise_exception('empty') }}{% endif %}" + CONTENT
)
NO_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}"
    "{{ m.content }}{% endfor %}"
)
REFUSING = HERMES.replace(LISTED, "{% if tools %}{{ raise_exception('no') }}{% endif %}")


@pytest.mark.parametrize(
    ("source", "found"),
    [
        (None, Dialect(chat=False)),
        (NULL_ONLY, Dialect("hermes", empty_content=False)),
        (NO_SYSTEM, Dialect("emulated", system_role=False)),
        ("{{ messages }}", Dialect("emulated")),
        (HERMES, Dialect("hermes")),
        (AS_TEXT, Dialect("hermes", False)),
        (HERMES.replace("<|assistant|>", "<|assistant|><think>\n</think>"),
         Dialect("hermes", True, "think")),
        (template(JSON_CALL % "parameters"), Dialect("llama")),
        (template("{{ f.name }}[ARGS]{{ f.arguments | tojson }}", before="[TOOL_CALLS]"),
         Dialect("mistral")),
        (template(JSON_CALL % "arguments", before="[TOOL_CALLS] [", after="]", between=", "),
         Dialect("mistral-old")),
        (template("{{ f.name }}({% for k, v in f.arguments.items() %}{{ k }}={{ v | tojson }}"
                  "{% endfor %})", before="[", after="]"), Dialect("pythonic")),
        (DEEPSEEK, Dialect("deepseek", False)),
        (DEEPSEEK_V31, Dialect("deepseek-v3.1", False, "think", variables=("thinking",))),
        (QWEN, Dialect("qwen3-coder")),
        (GLM, Dialect("glm")),
        (HARMONY, Dialect("harmony", True, "harmony")),
        (DSML, Dialect("deepseek-v3.2")),
        (DSML.replace("function_calls>", "tool_calls>"), Dialect("deepseek-v4")),
        (KIMI, Dialect("kimi-k2")),
        (COHERE, Dialect("cohere", True, "cohere")),
        (SEED, Dialect("seed-oss")),
        (MINIMAX, Dialect("minimax-m2", True, "granite")),
        (template(JSON_CALL % "arguments", before="<tool_calls>\n", between="\n",
                  after="\n</tool_calls>"), Dialect("minimax-m1")),
        (template(JSON_CALL % "arguments", before="<tool_calls>[", between=", ",
                  after="]</tool_calls>"), Dialect("hunyuan")),
        (template("<|action_start|><|plugin|>\n" + JSON_CALL % "parameters" + "<|action_end|>"),
         Dialect("internlm")),
        (FUNCTOOLS, Dialect("functools")),
        (template("<|tool_call|>" + JSON_CALL % "arguments" + "<|/tool_call|>"),
         Dialect("phi4-mini")),
        (template(JSON_CALL % "arguments", before="<|tool_call|>[", between=", ", after="]"),
         Dialect("granite")),
        (template(JSON_CALL % "arguments", before="<tool_call>[", between=", ", after="]"),
         Dialect("granite-3.1")),
        (GEMMA, Dialect("gemma4", True, "gemma", variables=("enable_thinking",))),
        (GEMMA.replace("<|tool_call>", "<start_function_call>").replace("<|\"|>", "<escape>")
         .replace("<tool_call|>", "<end_function_call>"),
         Dialect("functiongemma", True, "gemma", variables=("enable_thinking",))),
        (template(JSON_CALL % "arguments", before="<|other|>"), Dialect("emulated")),
        (template(JSON_CALL % "parameters", before="<|python_tag|>"), Dialect("llama")),
        (FORGETFUL, Dialect("emulated")),
        (BROKEN, Dialect("emulated")),
        (REFUSING, Dialect("emulated")),
        ("{% for", Dialect("emulated", system_role=False, chat=False)),
        ("{{ messages }}{% set a = 1 %}{{ a }}{{ b }}{{ date or strftime_now('%Y') }}"
         "{{ bos_token }}",
         Dialect("emulated", variables=("b", "date"))),
    ],
)  # fmt: skip
def test_dialects(source: str | None, found: Dialect) -> None:
    """The format whose parser reads a call back, and only if the template tells of the tools."""
    model = LoadedModel(100, 100, 1, EngineCapabilities(), chat_template=source)

    assert dialect(model) == found


CHATML_THOUGHTS = "{{ messages }}{{ effort }}</think>"


def test_a_template_for_tools() -> None:
    """Tells how they are called; the other one of plain chats."""
    model = LoadedModel(10, 10, 1, EngineCapabilities(), CHATML_THOUGHTS, tool_template=HERMES)
    assert dialect(model) == Dialect("hermes", reasoning="think", variables=("effort",))
    assert dialect(msgspec.structs.replace(model, tool_template=None)).tools == "emulated"
