"""The C API of llama.cpp, as far as it is used here: a model, a context, a batch.

Nothing above this file sees ctypes. Errors come as `ModelLoadFailed` (loading) and `DecodeError`.
"""

from __future__ import annotations

import ctypes
import itertools
import logging
import sys
from collections import deque
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import numpy.typing as npt
from llguidance import LLTokenizer
from llguidance.llamacpp import lltokenizer_from_vocab

from tricorn.engines.llamacpp.options import LlamaOptions
from tricorn.engines.llamacpp.parked import State
from tricorn.engines.spec import FillTokens
from tricorn.errors import ModelLoadFailed

log = logging.getLogger("llama.cpp")

NO_ROOM = 1
ABORTED = 2

_C = ctypes.CDLL("msvcrt" if sys.platform == "win32" else None)
_GGML_LEVEL_ERROR = 4
_errors: deque[str] = deque(maxlen=16)
"""What llama.cpp has logged as errors since the last call that could fail began."""


@llama_cpp.llama_log_callback  # type: ignore[untyped-decorator] # llama_cpp has no stubs
def on_log(level: int, text: bytes, _user_data: Any) -> None:
    # llama.cpp explains a failed load only in its log; its chatter is not for ours.
    if level == _GGML_LEVEL_ERROR:
        _errors.append(text.decode(errors="replace").strip())
        log.error(_errors[-1])


def _reason() -> str:
    """The first error is the cause, the later ones only say that something failed."""
    return _errors[0] if _errors else "no reason"


class DecodeError(Exception):
    """`llama_decode` failed in a way that leaves the context unusable."""


class Model:
    """Weights and vocabulary."""

    def __init__(self, path: Path, options: LlamaOptions) -> None:
        llama_cpp.llama_log_set(on_log, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        if options.numa:
            llama_cpp.llama_numa_init(options.numa)
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = options.n_gpu_layers
        params.main_gpu = options.main_gpu
        params.load_mode = (2 if options.use_mlock else 0) + (1 if options.use_mmap else 0)
        _errors.clear()
        self.pointer = llama_cpp.llama_model_load_from_file(str(path).encode(), params)
        if not self.pointer:
            raise ModelLoadFailed(f"llama.cpp cannot load {path.name}: {_reason()}")
        self.vocab = llama_cpp.llama_model_get_vocab(self.pointer)
        self.vocab_size: int = llama_cpp.llama_vocab_n_tokens(self.vocab)
        self.context_trained: int = llama_cpp.llama_model_n_ctx_train(self.pointer)
        self.shares_prefixes = not (
            llama_cpp.llama_model_is_recurrent(self.pointer)
            or llama_cpp.llama_model_is_hybrid(self.pointer)
        )
        self.has_decoder: bool = llama_cpp.llama_model_has_decoder(self.pointer)
        self._pieces: dict[int, bytes] = {}

    @cached_property
    def end_tokens(self) -> frozenset[int]:
        """Takes a millisecond for some thousand tokens of the vocabulary, once."""
        tokens = range(self.vocab_size)
        ends = map(llama_cpp.llama_vocab_is_eog, itertools.repeat(self.vocab), tokens)
        return frozenset(itertools.compress(tokens, ends))

    def template(self, name: str | None = None) -> str | None:
        """The chat template, or one that the file has under another name."""
        key = None if name is None else name.encode()
        text = llama_cpp.llama_model_chat_template(self.pointer, key)
        # For a few models without one llama.cpp gives the name of a template of its own.
        return text.decode() if text and b"{" in text else None

    def adds_bos(self) -> bool:
        return bool(llama_cpp.llama_vocab_get_add_bos(self.vocab))

    def special_token(self, kind: str) -> str:
        """Text of the `bos` or `eos` token; empty where the model has none."""
        token = getattr(llama_cpp, f"llama_vocab_{kind}")(self.vocab)
        return self._piece(token, special=True).decode(errors="replace") if token >= 0 else ""

    def identity(self) -> dict[str, str | int | None]:
        """What kind of model it is, in the words of `LoadedModel.details`."""
        ftype = llama_cpp.llama_ftype_name(llama_cpp.llama_model_ftype(self.pointer))
        return {
            "description": self._told(llama_cpp.llama_model_desc),
            "architecture": self._told(llama_cpp.llama_model_meta_val_str, b"general.architecture"),
            "parameters": int(llama_cpp.llama_model_n_params(self.pointer)),
            # It says "(guessed) all F32" where the file does not tell.
            "quantization": ftype.decode().removeprefix("(guessed) ") if ftype else None,
        }

    def _told(self, function: Any, *arguments: bytes) -> str | None:
        """What one of the functions gives that write a text into a buffer."""
        buffer = ctypes.create_string_buffer(256)
        length = function(self.pointer, *arguments, buffer, 256)
        return buffer.value.decode(errors="replace") if length > 0 else None

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        data = text.encode()
        room = len(data) + 8
        while True:
            ids = (llama_cpp.llama_token * room)()
            count = llama_cpp.llama_tokenize(
                self.vocab, data, len(data), ids, room, add_special, parse_special
            )
            if count >= 0:
                return list(ids[:count])
            room = -count

    def piece(self, token: int) -> bytes:
        """A token's bytes in an answer: control tokens give none. Cached; engine thread only."""
        known = self._pieces.get(token)
        if known is None:
            known = self._pieces[token] = self._piece(token, special=False)
        return known

    def fill_tokens(self) -> FillTokens | None:
        ids = [
            int(getattr(llama_cpp, f"llama_vocab_fim_{part}")(self.vocab))
            for part in ("pre", "suf", "mid")
        ]
        return None if min(ids) < 0 else FillTokens(*ids)

    def detokenize(self, token_ids: Sequence[int]) -> bytes:
        # Negative ones stand for images.
        return b"".join(self._piece(token, special=True) for token in token_ids if token >= 0)

    def _piece(self, token: int, *, special: bool) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = llama_cpp.llama_token_to_piece(self.vocab, token, buffer, size, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def constraint_tokenizer(self) -> LLTokenizer:
        """The vocabulary as llguidance takes it; takes a good part of a second."""
        return lltokenizer_from_vocab(self.vocab)

    def close(self) -> None:
        llama_cpp.llama_model_free(self.pointer)


class Context:
    """A KV cache and a batch over a model. Also the `kv.Memory` of the scheduler."""

    def __init__(self, model: Model, options: LlamaOptions, *, cells: int, slots: int) -> None:
        self._vocab_size = model.vocab_size
        self.batch_size = options.n_batch
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = cells
        params.n_batch = options.n_batch
        params.n_ubatch = options.n_ubatch
        params.n_seq_max = slots
        params.n_threads = options.threads
        params.n_threads_batch = options.threads_batch
        params.flash_attn_type = {"auto": -1, "off": 0, "on": 1}[options.flash_attn]
        params.type_k = getattr(llama_cpp, f"GGML_TYPE_{options.type_k.upper()}")
        params.type_v = getattr(llama_cpp, f"GGML_TYPE_{options.type_v.upper()}")
        params.kv_unified = True
        params.offload_kqv = options.offload_kqv
        params.no_perf = True
        if options.rope_freq_base is not None:
            params.rope_freq_base = options.rope_freq_base
        if options.rope_freq_scale is not None:
            params.rope_freq_scale = options.rope_freq_scale
        _errors.clear()
        self.pointer = llama_cpp.llama_init_from_model(model.pointer, params)
        if not self.pointer:
            raise ModelLoadFailed(f"llama.cpp cannot make a context of {cells} tokens: {_reason()}")
        self.cells: int = llama_cpp.llama_n_ctx(self.pointer)
        self._memory = llama_cpp.llama_get_memory(self.pointer)
        self._batch = llama_cpp.llama_batch_init(options.n_batch, 0, 1)
        view = np.ctypeslib.as_array
        size = (options.n_batch,)
        self._tokens: npt.NDArray[np.int32] = view(self._batch.token, size)
        self._positions: npt.NDArray[np.int32] = view(self._batch.pos, size)
        self._wanted: npt.NDArray[np.int8] = view(self._batch.logits, size)
        view(self._batch.n_seq_id, size)[:] = 1
        self._filled = 0
        self._abort_flag = ctypes.create_string_buffer(2)
        # Asked between the operations of a step. Called into Python it would wait for the
        # interpreter each time; C's own strlen says whether the flag is anything but empty.
        self._abort_callback = ctypes.cast(_C.strlen, llama_cpp.ggml_abort_callback)
        llama_cpp.llama_set_abort_callback(
            self.pointer, self._abort_callback, ctypes.addressof(self._abort_flag)
        )

    # --- batch ---------------------------------------------------------------------------------

    def clear(self) -> None:
        """Begin the next batch; what was to abort the last one is forgotten."""
        _errors.clear()
        self._filled = 0
        self._abort_flag.raw = b"\0\0"

    def add(
        self,
        slot: int,
        start: int,
        tokens: list[int],
        *,
        logits_at_end: bool,
        all_logits: bool = False,
    ) -> int:
        """Put tokens at positions `start`… of a sequence; the row of the last one."""
        first, end = self._filled, self._filled + len(tokens)
        self._tokens[first:end] = tokens
        self._positions[first:end] = range(start, start + len(tokens))
        self._wanted[first:end] = all_logits
        self._wanted[end - 1] = logits_at_end or all_logits
        sequence_ids = self._batch.seq_id
        for row in range(first, end):
            sequence_ids[row][0] = slot
        self._filled = end
        return end - 1

    def decode(self) -> int:
        """0, NO_ROOM or ABORTED. DecodeError for everything worse."""
        self._batch.n_tokens = self._filled
        result: int = llama_cpp.llama_decode(self.pointer, self._batch)
        if result < 0:
            raise DecodeError(f"llama_decode gave {result}: {_reason()}")
        return result

    def decode_embeddings(
        self, slot: int, start: int, rows: npt.NDArray[np.float32], *, causal: bool
    ) -> int:
        """As `decode`, of what stands at positions `start`… of a sequence in place of tokens.

        rows: [positions, width of the model], at most `batch_size` of them.
        """
        count, width = rows.shape
        self.clear()
        batch = llama_cpp.llama_batch_init(count, width, 1)
        view = np.ctypeslib.as_array
        view(batch.embd, (count, width))[:] = rows
        view(batch.pos, (count,))[:] = range(start, start + count)
        view(batch.n_seq_id, (count,))[:] = 1
        view(batch.logits, (count,))[:] = 0
        for row in range(count):
            batch.seq_id[row][0] = slot
        batch.n_tokens = count
        if not causal:
            llama_cpp.llama_set_causal_attn(self.pointer, False)
        try:
            result: int = llama_cpp.llama_decode(self.pointer, batch)
        finally:
            llama_cpp.llama_set_causal_attn(self.pointer, True)
            llama_cpp.llama_batch_free(batch)
        if result < 0:
            raise DecodeError(f"llama_decode gave {result}: {_reason()}")
        return result

    def logits(self, row: int) -> npt.NDArray[np.float32]:
        """[vocab_size] of that row; a view, valid until the next decode."""
        pointer = llama_cpp.llama_get_logits_ith(self.pointer, row)
        address = ctypes.cast(pointer, ctypes.c_void_p).value
        assert address is not None
        row_type = ctypes.c_float * self._vocab_size
        return np.frombuffer(memoryview(row_type.from_address(address)), dtype=np.float32)

    def abort(self) -> None:
        """Any thread: the decode that runs ends soon, with ABORTED."""
        self._abort_flag.raw = b"x\0"

    # --- kv.Memory -----------------------------------------------------------------------------

    def copy_prefix(self, source: int, target: int, length: int) -> None:
        llama_cpp.llama_memory_seq_cp(self._memory, source, target, 0, length)

    def truncate(self, slot: int, length: int) -> bool:
        return bool(llama_cpp.llama_memory_seq_rm(self._memory, slot, length, -1))

    def state_size(self, slot: int) -> int:
        return int(llama_cpp.llama_state_seq_get_size(self.pointer, slot))

    def save(self, slot: int) -> State:
        state = np.empty(self.state_size(slot), dtype=np.uint8)
        written = llama_cpp.llama_state_seq_get_data(
            self.pointer, _bytes_of(state), state.nbytes, slot
        )
        return state[:written]

    def restore(self, slot: int, state: State) -> bool:
        read = llama_cpp.llama_state_seq_set_data(
            self.pointer, _bytes_of(state), state.nbytes, slot
        )
        if not read:
            self.truncate(slot, 0)
        return bool(read)

    def close(self) -> None:
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self.pointer)


def _bytes_of(state: State) -> Any:
    return state.ctypes.data_as(ctypes.POINTER(ctypes.c_uint8))


def max_slots() -> int:
    """Sequence ids that this build of llama.cpp can tell apart."""
    return int(llama_cpp.llama_max_parallel_sequences())
