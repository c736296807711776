"""A context of llama.cpp that gives one vector for each sequence of a batch, and no tokens."""

from __future__ import annotations

from collections.abc import Sequence

import llama_cpp
import numpy as np
import numpy.typing as npt

from tricorn.engines.llamacpp.binding import DecodeError, Model
from tricorn.engines.llamacpp.options import LlamaOptions
from tricorn.errors import ModelLoadFailed
from tricorn.model_facts.facts import PoolingType
from tricorn.model_facts.gguf import POOLING

_NUMBERS = {name: number for number, name in POOLING.items()}


class PoolingContext:
    """tokens: of a batch, which is computed in one piece, since encoders look ahead.
    slots: sequences of a batch.
    """

    def __init__(
        self, model: Model, options: LlamaOptions, pooling: PoolingType, *, tokens: int, slots: int
    ) -> None:
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = -(-tokens // 256) * 256
        params.n_batch = params.n_ubatch = tokens
        params.n_seq_max = slots
        params.n_threads = params.n_threads_batch = options.threads_batch
        params.flash_attn_type = {"auto": -1, "off": 0, "on": 1}[options.flash_attn]
        params.type_k = getattr(llama_cpp, f"GGML_TYPE_{options.type_k.upper()}")
        params.type_v = getattr(llama_cpp, f"GGML_TYPE_{options.type_v.upper()}")
        params.kv_unified = True
        params.offload_kqv = options.offload_kqv
        params.no_perf = True
        params.embeddings = True
        params.pooling_type = _NUMBERS[pooling]
        if options.rope_freq_base is not None:
            params.rope_freq_base = options.rope_freq_base
        if options.rope_freq_scale is not None:
            params.rope_freq_scale = options.rope_freq_scale
        self._pointer = llama_cpp.llama_init_from_model(model.pointer, params)
        if not self._pointer:
            raise ModelLoadFailed(
                f"llama.cpp cannot make a context of {tokens} tokens that pools by {pooling}"
            )
        outputs = llama_cpp.llama_model_n_cls_out if pooling == "rank" else _width
        self.width: int = outputs(model.pointer)
        """Numbers in a vector; with pooling by rank: classes."""
        self._compute = llama_cpp.llama_decode if model.has_decoder else llama_cpp.llama_encode
        self._memory = llama_cpp.llama_get_memory(self._pointer)
        self._batch = llama_cpp.llama_batch_init(tokens, 0, 1)
        view = np.ctypeslib.as_array
        self._tokens: npt.NDArray[np.int32] = view(self._batch.token, (tokens,))
        self._positions: npt.NDArray[np.int32] = view(self._batch.pos, (tokens,))
        view(self._batch.n_seq_id, (tokens,))[:] = 1
        view(self._batch.logits, (tokens,))[:] = 1

    def vectors(self, prompts: Sequence[list[int]]) -> npt.NDArray[np.float32]:
        """[prompts, width]. DecodeError where llama.cpp fails."""
        filled = 0
        sequence_ids = self._batch.seq_id
        for slot, prompt in enumerate(prompts):
            end = filled + len(prompt)
            self._tokens[filled:end] = prompt
            self._positions[filled:end] = range(len(prompt))
            for row in range(filled, end):
                sequence_ids[row][0] = slot
            filled = end
        self._batch.n_tokens = filled
        if self._memory:
            llama_cpp.llama_memory_clear(self._memory, False)
        result = self._compute(self._pointer, self._batch)
        if result != 0:
            raise DecodeError(f"llama.cpp gave {result} for a batch of {filled} tokens")
        made = np.empty((len(prompts), self.width), np.float32)
        for slot in range(len(prompts)):
            vector = llama_cpp.llama_get_embeddings_seq(self._pointer, slot)
            made[slot] = np.ctypeslib.as_array(vector, (self.width,))
        return made

    def close(self) -> None:
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._pointer)


def _width(model: object) -> int:
    return int(llama_cpp.llama_model_n_embd_out(model))


def pair(model: Model, query: list[int], document: list[int]) -> list[int]:
    """Both as a cross-encoder expects them: each ended as a single text is."""
    inside = model.tokenize("a", add_special=False, parse_special=False)
    single = model.tokenize("a", add_special=True, parse_special=False)
    at = single.index(inside[0])
    begin, end = single[:at], single[at + len(inside) :]
    between = list(end)
    word_pieces = llama_cpp.llama_vocab_type(model.vocab) == llama_cpp.LLAMA_VOCAB_TYPE_WPM
    # BERT's separator is what ends a text; RoBERTa and its like put one more between two.
    if not word_pieces and llama_cpp.llama_vocab_get_add_sep(model.vocab):
        between.append(llama_cpp.llama_vocab_sep(model.vocab))
    return [*begin, *query, *between, *document, *end]
