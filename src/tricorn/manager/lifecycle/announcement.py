"""What people see once Tricorn can be used. Pure."""

from __future__ import annotations

import json
import os
import shlex

from tricorn.hardware.facts import Facts
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.settings.config import Settings

ANY_ADDRESS = ("0.0.0.0", "::", "")


def base_url(settings: Settings) -> str:
    """Where a client on this machine reaches the gateway, without `/v1`."""
    host = "localhost" if settings.host in ANY_ADDRESS else settings.host
    return f"{settings.scheme()}://{f'[{host}]' if ':' in host else host}:{settings.port}"


def curl_line(settings: Settings, model: str) -> str:
    """A chat completion to be pasted into a shell."""
    message = {"role": "user", "content": "Hello!"}
    # Small models wander at the default temperature, and this is their first impression.
    body = json.dumps({"model": model, "temperature": 0.2, "messages": [message]})
    url = f"{base_url(settings)}/v1/chat/completions"
    # cmd.exe knows no single quotes.
    quoted = '"' + body.replace('"', '\\"') + '"' if os.name == "nt" else shlex.quote(body)
    key = ' -H "Authorization: Bearer YOUR_KEY"' if settings.requires_key() else ""
    # A certificate is made out to the name that others call this machine by.
    trust = "-k " if settings.tls_cert is not None else ""
    return f"curl {trust}{url}{key} -H 'Content-Type: application/json' -d {quoted}".replace(
        "'Content-Type: application/json'",
        '"Content-Type: application/json"',
    )


def announcement(
    settings: Settings, facts: Facts, *, model: ModelInfo | None, with_gateway: bool
) -> str:
    """The machine, the engine and why, the model, the URL, and a line to try it with."""
    lines = ["", f"  Machine  {facts.summary()}"]
    if model is None:
        lines.append(f"  Model    none yet: put a .gguf file into {settings.model_base_path}")
    else:
        lines.append(f"  Engine   {model.engine_reason}")
        context = f", context of {model.context_length} tokens" if model.context_length else ""
        state = f" – {model.trouble}" if model.state == "FAILED" else context
        lines.append(f"  Model    {model.id}{state}")
    if with_gateway:
        lines.append(f"  URL      {base_url(settings)}/v1")
        if model is not None and model.state == "READY":
            lines += ["", f"  Try it:  {curl_line(settings, model.id)}"]
    else:
        lines.append(f"  Manager  runs without a gateway, in {settings.runtime_dir()}")
    return "\n".join([*lines, ""])
