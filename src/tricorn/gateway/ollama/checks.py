"""Refusing what a model cannot do of an Ollama request; which it can is known with the lease."""

from __future__ import annotations

from tricorn.errors import InvalidRequest, UnsupportedParameter
from tricorn.manager.protocol.calls import Granted
from tricorn.schemas.ollama.request import OllamaGeneration, OllamaRequest


def must_hold(call: OllamaRequest, lease: Granted) -> None:
    """The context that it asks for."""
    wanted, there = call.options.num_ctx, lease.model.context_length
    if wanted is not None and wanted > there:
        raise InvalidRequest(
            f"'options.num_ctx' is {wanted}, but '{lease.model_id}' was loaded with a context of "
            f"{there} tokens. Send at most that, or none; or set a longer context_length for the "
            "model in tricorn.yaml.",
            param="options.num_ctx",
        )


def must_answer(call: OllamaGeneration, lease: Granted, *, plain: bool) -> None:
    """plain: without a chat template."""
    must_hold(call, lease)
    dialect = lease.model.dialect
    if not plain and not dialect.chat:
        raise UnsupportedParameter(
            f"'{lease.model_id}' has no chat template: use /api/generate with 'raw': true.",
            param="model",
        )
    if call.think and not dialect.reasoning:
        raise UnsupportedParameter(
            f"'think': '{lease.model_id}' does not think before it answers.", param="think"
        )
