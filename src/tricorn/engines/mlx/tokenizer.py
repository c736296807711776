"""A model's tokenizer: text to ids by the tokenizers library, ids to bytes by `vocabulary`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer as Encoder

from tricorn.engines.mlx.folder import ModelFolder
from tricorn.engines.mlx.vocabulary import Vocabulary
from tricorn.errors import ModelLoadFailed

if TYPE_CHECKING:
    from tricorn.engines.constraints import ConstraintCompiler


class Tokenizer:
    """Safe to use from any thread, but for `constraints`."""

    def __init__(self, folder: ModelFolder, *, trust_remote_code: bool) -> None:
        self.json = _tokenizer_json(folder, trust_remote_code=trust_remote_code)
        self.vocabulary = Vocabulary(self.json)
        try:
            self._encoder = Encoder.from_str(self.json)
        except Exception as error:
            # The library raises a bare Exception.
            raise ModelLoadFailed(
                f"{folder.path.name}/tokenizer.json cannot be used: {error}"
            ) from error
        # A prompt that is too long is refused with its length, not cut.
        self._encoder.no_truncation()
        self._encoder.no_padding()
        bos = self.vocabulary.id_of(folder.bos_token) if folder.bos_token else None
        self.adds_bos = bos is not None and self._encoder.encode("").ids[:1] == [bos]
        eos = self.vocabulary.id_of(folder.eos_token) if folder.eos_token else None
        self.end_tokens = folder.end_tokens | ({eos} if eos is not None else frozenset())

        self._compiler: ConstraintCompiler | None = None

    @cached_property
    def _plain_encoder(self) -> Any:
        """Reads control tokens as ordinary text."""
        encoder = Encoder.from_str(self._encoder.to_str())
        encoder.encode_special_tokens = True
        return encoder

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        encoder = self._encoder if parse_special else self._plain_encoder
        ids: list[int] = encoder.encode(text, add_special_tokens=add_special).ids
        return ids

    def constraints(self, vocab_size: int) -> ConstraintCompiler:
        """For a model with so many logits. Built at the first call, which takes a while: many never
        need it."""
        if self._compiler is None:
            from llguidance import LLTokenizer

            from tricorn.engines.constraints import ConstraintCompiler

            end_tokens = sorted(self.end_tokens)
            tokenizer = LLTokenizer(
                self.json,
                n_vocab=max(vocab_size, self.vocabulary.size),
                eos_token=end_tokens[0] if end_tokens else None,
            )
            self._compiler = ConstraintCompiler(tokenizer, end_tokens=end_tokens)
        return self._compiler

    def detokenize(self, token_ids: Sequence[int]) -> bytes:
        return self.vocabulary.detokenize(token_ids)


def _tokenizer_json(folder: ModelFolder, *, trust_remote_code: bool) -> str:
    path = folder.path / "tokenizer.json"
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ModelLoadFailed(f"{folder.path.name}/tokenizer.json: {error}") from error
    # An older folder has only the files of its tokenizer's own library; transformers converts them.
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder.path, trust_remote_code=trust_remote_code, local_files_only=True
        )
    except Exception as error:
        raise ModelLoadFailed(
            f"{folder.path.name} has no tokenizer.json, and no other tokenizer there could be "
            f"loaded: {str(error).splitlines()[0]}"
        ) from error
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelLoadFailed(
            f"{folder.path.name} has no tokenizer.json, and its own tokenizer cannot be converted"
        )
    return str(backend.to_str())
