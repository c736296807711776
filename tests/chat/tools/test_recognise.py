"""Which format a chat template is found to write: small templates in each family's manner."""

from __future__ import annotations

import pytest

from tricorn.chat.tools.recognise import dialect
from tricorn.engines.base import Dialect, EngineCapabilities, LoadedModel

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
        (None, Dialect()),
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
        (DEEPSEEK_V31, Dialect("deepseek-v3.1", False, "think")),
        (QWEN, Dialect("qwen3-coder")),
        (GLM, Dialect("glm")),
        (HARMONY, Dialect("harmony", True, "harmony")),
        (template(JSON_CALL % "arguments", before="<|other|>"), Dialect("emulated")),
        (template(JSON_CALL % "parameters", before="<|python_tag|>"), Dialect("llama")),
        (FORGETFUL, Dialect("emulated")),
        (BROKEN, Dialect("emulated")),
        (REFUSING, Dialect("emulated")),
        ("{% for", Dialect("emulated", system_role=False)),
    ],
)  # fmt: skip
def test_dialects(source: str | None, found: Dialect) -> None:
    """The format whose parser reads a call back, and only if the template tells of the tools."""
    model = LoadedModel(100, 100, 1, EngineCapabilities(), chat_template=source)

    assert dialect(model) == found
