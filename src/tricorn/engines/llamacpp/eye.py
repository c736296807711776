"""llama.cpp's mtmd: from an image to embeddings that stand in a prompt where tokens would.

Like `binding` for the language model, this file keeps ctypes to itself.
"""

from __future__ import annotations

import ctypes
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
from llama_cpp import mtmd_cpp

from tricorn.chat.image_facts import image_facts
from tricorn.engines.llamacpp.binding import Model, on_log
from tricorn.engines.llamacpp.options import LlamaOptions
from tricorn.engines.llamacpp.pictures import Embeddings, Picture, Prompt, identity, placeholders
from tricorn.engines.request import Image
from tricorn.errors import EngineGenerateError, InvalidRequest, ModelLoadFailed

KEPT_BYTES = 256 << 20
"""Of embeddings, least recently used first: a conversation sends its images with every turn."""
KINDS = ("PNG", "JPEG", "GIF")
"""What mtmd decodes itself; for others it would start ffmpeg."""


class Eye:
    """One mmproj file in memory. Not for two threads at a time.

    longest: tokens that an image may have where the model has to see it at once.
    """

    def __init__(self, mmproj: Path, model: Model, options: LlamaOptions, *, longest: int) -> None:
        self.marker = f"<image {secrets.token_hex(16)}>"
        """Stands in a text where an image belongs; nobody can guess it."""
        self._model = model
        self._longest = longest
        self._width: int = llama_cpp.llama_model_n_embd_inp(model.pointer)
        self._kept: OrderedDict[tuple[bytes, int], Embeddings] = OrderedDict()
        # Unasked it writes prompts to standard error.
        mtmd_cpp.mtmd_log_set(on_log, ctypes.c_void_p(0))
        mtmd_cpp.mtmd_helper_log_set(on_log, ctypes.c_void_p(0))
        params = mtmd_cpp.mtmd_context_params_default()
        params.use_gpu = options.n_gpu_layers != 0
        params.n_threads = options.threads_batch
        params.print_timings = False
        params.media_marker = self.marker.encode()
        self._pointer = mtmd_cpp.mtmd_init_from_file(str(mmproj).encode(), model.pointer, params)
        if not self._pointer:
            raise ModelLoadFailed(
                f"{mmproj.name} does not fit this model, or is broken; engine_args: {{mmproj: ''}} "
                "serves the model without it"
            )
        if mtmd_cpp.mtmd_decode_use_mrope(self._pointer):
            self.unfit: str | None = "positions in two dimensions (M-RoPE) are not supported"
            """Why it cannot be used."""
        else:
            sees = mtmd_cpp.mtmd_support_vision(self._pointer)
            self.unfit = None if sees else "it has no vision"

    def read(self, text: str, images: Sequence[Image]) -> Prompt:
        """The prompt of a text with a `marker` for each image.

        InvalidRequest names the image that cannot be decoded, or that is too large.
        """
        with ExitStack() as held:
            bitmaps = (mtmd_cpp.mtmd_bitmap_p_ctypes * len(images))()
            for position, image in enumerate(images):
                bitmaps[position] = self._decode(image)
                held.callback(mtmd_cpp.mtmd_bitmap_free, bitmaps[position])
            chunks = mtmd_cpp.mtmd_input_chunks_init()
            held.callback(mtmd_cpp.mtmd_input_chunks_free, chunks)
            data = text.encode()
            input_text = mtmd_cpp.mtmd_input_text(data, len(data), False, True)
            result = mtmd_cpp.mtmd_tokenize(
                self._pointer, chunks, ctypes.byref(input_text), bitmaps, len(images)
            )
            if result:
                raise InvalidRequest(
                    "llama.cpp cannot prepare the images of this request", param=images[0].param
                )
            params = {identity(image.data): image.param for image in images}
            return self._prompt(_each(chunks), params)

    def _decode(self, image: Image) -> Any:
        kind = image_facts(image.data).kind
        if kind not in KINDS:
            raise InvalidRequest(
                f"Invalid value for '{image.param}': llama.cpp reads {', '.join(KINDS)}, "
                f"not {kind}.",
                param=image.param,
            )
        data = (ctypes.c_uint8 * len(image.data)).from_buffer_copy(image.data)
        options = mtmd_cpp.mtmd_helper_init_opt_default()
        # What it cannot decode it would hand to ffmpeg; in this folder there is none.
        options.video_params.ffmpeg_bin_dir = b"/nonexistent"
        bitmap = mtmd_cpp.mtmd_helper_bitmap_init_from_buf(
            self._pointer, data, len(image.data), False, options
        )
        if not bitmap:
            raise InvalidRequest(
                f"Invalid value for '{image.param}': the image cannot be decoded.",
                param=image.param,
            )
        mtmd_cpp.mtmd_bitmap_set_id(bitmap, identity(image.data).hex().encode())
        return bitmap

    def _prompt(self, chunks: Iterator[Any], params: dict[bytes, str]) -> Prompt:
        tokens: list[int] = []
        pictures: list[Picture] = []
        parts: dict[bytes, int] = {}
        for chunk in chunks:
            count = mtmd_cpp.mtmd_input_chunk_get_n_tokens(chunk)
            if mtmd_cpp.mtmd_input_chunk_get_type(chunk) == mtmd_cpp.MTMD_INPUT_CHUNK_TYPE_TEXT:
                size = ctypes.c_size_t()
                ids = mtmd_cpp.mtmd_input_chunk_get_tokens_text(chunk, ctypes.byref(size))
                tokens += ids[: size.value]
                continue
            image = bytes.fromhex(mtmd_cpp.mtmd_input_chunk_get_id(chunk).decode())
            part = parts.get(image, 0)  # a large image may become several
            parts[image] = part + 1
            at_once = bool(mtmd_cpp.mtmd_decode_use_non_causal(self._pointer, chunk))
            if at_once and count > self._longest:
                raise InvalidRequest(
                    f"The image takes {count} tokens that this model has to see at once, and "
                    f"{self._longest} are possible (engine_args: n_batch, n_ubatch).",
                    param=params[image],
                )
            embeddings = self._embeddings(chunk, count, (image, part))
            pictures.append(Picture(len(tokens), embeddings, at_once=at_once))
            tokens += placeholders(image, part, count)
        return Prompt(tokens, tuple(pictures))

    def _embeddings(self, chunk: Any, count: int, key: tuple[bytes, int]) -> Embeddings:
        known = self._kept.pop(key, None)
        if known is None:
            if mtmd_cpp.mtmd_encode_chunk(self._pointer, chunk):
                raise EngineGenerateError("llama.cpp failed to encode an image")
            found = mtmd_cpp.mtmd_get_output_embd(self._pointer)
            view = np.ctypeslib.as_array(found, (count * self._width,))
            known = view.reshape(count, self._width).copy()
        self._kept[key] = known
        while len(self._kept) > 1 and sum(e.nbytes for e in self._kept.values()) > KEPT_BYTES:
            self._kept.popitem(last=False)
        return known

    def close(self) -> None:
        mtmd_cpp.mtmd_free(self._pointer)


def _each(chunks: Any) -> Iterator[Any]:
    for number in range(mtmd_cpp.mtmd_input_chunks_size(chunks)):
        yield mtmd_cpp.mtmd_input_chunks_get(chunks, number)
