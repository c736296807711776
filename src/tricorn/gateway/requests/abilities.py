"""Refusing what a model cannot do; which it can is known with the lease."""

from __future__ import annotations

from tricorn.errors import InvalidRequest, UnsupportedParameter
from tricorn.manager.protocol.calls import Granted


def must_embed(lease: Granted) -> None:
    can = lease.model.capabilities
    if not can.embed:
        does = "ranks texts" if can.score else "generates text"
        raise UnsupportedParameter(
            f"The model '{lease.model_id}' {does} and makes no embeddings. Name an embedding "
            "model, or have this one pool, by engine_args: llama.cpp pooling_type, vLLM runner: "
            "pooling.",
            param="model",
        )
    _must_be_plain(lease)


def must_compare(lease: Granted) -> None:
    can = lease.model.capabilities
    if not (can.score or can.embed):
        raise UnsupportedParameter(
            f"The model '{lease.model_id}' generates text and cannot compare texts. Name a "
            "reranker or an embedding model.",
            param="model",
        )
    _must_be_plain(lease)


def must_generate(lease: Granted) -> None:
    if not lease.model.capabilities.generate:
        does = "ranks texts" if lease.model.capabilities.score else "makes embeddings"
        route = "/v1/rerank" if lease.model.capabilities.score else "/v1/embeddings"
        raise UnsupportedParameter(
            f"The model '{lease.model_id}' {does} and generates no text: use {route}.",
            param="model",
        )


def must_cut(lease: Granted, dimensions: int) -> None:
    """dimensions: the length that vectors are asked to have."""
    whole, shorter = lease.model.dimensions or 0, lease.model.shorter_dimensions
    if dimensions == whole:
        return
    if shorter is None:
        raise UnsupportedParameter(
            f"'dimensions' can only be {whole}: '{lease.model_id}' is not known to be trained for "
            "shorter vectors (Matryoshka). If it is, say so by engine_args: llama.cpp and MLX "
            "matryoshka: true, vLLM hf_overrides: {is_matryoshka: true}.",
            param="dimensions",
        )
    if dimensions > whole or (shorter and dimensions not in shorter):
        may = ", ".join(map(str, shorter)) if shorter else f"1 to {whole}"
        raise InvalidRequest(
            f"'dimensions' can be {may} for '{lease.model_id}', got {dimensions}.",
            param="dimensions",
        )


def _must_be_plain(lease: Granted) -> None:
    if lease.adapter is not None:
        raise UnsupportedParameter(
            f"'{lease.model_id}' names an adapter, which only generating uses: name the model "
            "without it.",
            param="model",
        )
