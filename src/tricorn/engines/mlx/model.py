"""mlx-lm, as far as it is used here: weights, caches and the batch generator.

Nothing above this file sees mlx-lm. Called on the engine thread only: MLX's streams belong to
threads. Errors of loading come as `ModelLoadFailed`.
"""

from __future__ import annotations

import copy
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten

from tricorn.engines.mlx.folder import ModelFolder
from tricorn.engines.mlx.memory import CacheCost, Layer, MemoryPlan
from tricorn.engines.mlx.options import MlxOptions
from tricorn.engines.mlx.sampling import Sampler, greedy
from tricorn.errors import ModelLoadFailed


@contextmanager
def _file_limit_kept() -> Iterator[None]:
    """mlx-lm sets the limit of open files when it is imported: to less than a server has, and with
    an error where it may not."""
    setrlimit = resource.setrlimit
    resource.setrlimit = lambda *_limits: None
    try:
        yield
    finally:
        resource.setrlimit = setrlimit


with _file_limit_kept():
    import mlx_lm.utils
    from mlx_lm.generate import BatchGenerator
    from mlx_lm.models import cache as caches

Cache = list[Any]
"""mlx-lm's cache of one sequence, one entry a layer."""


class Model:
    """Weights, and what is known of the caches that go with them."""

    def __init__(self, folder: ModelFolder, options: MlxOptions) -> None:
        name = folder.path.name
        try:
            self.network, _ = mlx_lm.utils.load_model(
                folder.path, trust_remote_code=options.trust_remote_code
            )
            if options.dtype is not None:
                self.network.set_dtype(getattr(mx, options.dtype))
                mx.eval(self.network.parameters())
            cache = caches.make_prompt_cache(self.network)
            logits = self.network(mx.array([[0]]), cache=cache)
            mx.eval(logits, [layer.state for layer in cache])
        except Exception as error:
            raise ModelLoadFailed(f"mlx cannot load {name}: {error}") from error
        if not all(hasattr(layer, "merge") for layer in cache):
            raise ModelLoadFailed(
                f"mlx cannot load {name}: mlx-lm does not batch models of type {folder.model_type}"
            )
        self.vocab_size: int = logits.shape[-1]
        self.trimmable = bool(caches.can_trim_prompt_cache(cache)) and not _has_window(cache)
        self.cost = _cost(cache)
        self.recurrent = self.cost.fixed_bytes > 0
        """State goes through all tokens: prompts of unequal length must not be computed side by
        side, for not every architecture of mlx-lm leaves out what they are filled up with."""
        self.weight_bytes = sum(
            array.nbytes for _, array in tree_flatten(self.network.parameters())
        )
        self.dtype = str(logits.dtype).removeprefix("mlx.core.")

    def close(self) -> None:
        mx.clear_cache()


def working_set() -> int | None:
    """Bytes that Metal recommends to use at most; None where MLX computes on the CPU."""
    if mx.default_device() == mx.cpu or not mx.metal.is_available():
        return None
    return int(mx.device_info()["max_recommended_working_set_size"])


def set_limits(plan: MemoryPlan) -> None:
    mx.set_memory_limit(plan.limit)
    mx.set_cache_limit(plan.buffers)
    if plan.wired is not None:
        mx.set_wired_limit(plan.wired)


def memory_in_use() -> int:
    """Bytes of MLX's arrays now."""
    return int(mx.get_active_memory())


@dataclass(frozen=True)
class PromptProgress:
    uid: int
    computed: int
    """Tokens of it that this step computed."""
    left: int
    """Tokens of the prompt that are still to be computed."""


class Batches:
    """The batch generator: sequences by number, one token each at a step once they decode."""

    def __init__(self, model: Model, *, max_running: int, prefill_batch: int) -> None:
        self._network = model.network
        self._generator = BatchGenerator(
            self._last_logits,
            completion_batch_size=max_running,
            prefill_batch_size=prefill_batch,
        )
        self._done: dict[int, int] = {}
        """Tokens computed of each prompt that is being worked on."""

    def _last_logits(self, tokens: Any, cache: Cache) -> Any:
        """Of the last position alone, and in float32: probabilities need more than 16 bits."""
        return self._network(tokens, cache=cache)[:, -1:].astype(mx.float32)

    def insert(
        self, tokens: list[int], computed: int, cache: Cache | None, sampler: Sampler
    ) -> int:
        """Compute `tokens` after the first `computed` of them, which `cache` holds; its number."""
        uids = self._generator.insert(
            [tokens[computed:]],
            caches=[cache or caches.make_prompt_cache(self._network)],
            all_tokens=[tokens[:computed]],
            samplers=[greedy if sampler.plain else sampler.draw],
            logits_processors=[[sampler.process] if sampler.changes else []],
            max_tokens=[1 << 40],
        )
        return int(uids[0])

    def new_cache(self) -> Cache:
        return list(caches.make_prompt_cache(self._network))

    @property
    def stream(self) -> Any:
        """On which everything is computed."""
        return self._generator.stream

    def all_logits(self, tokens: list[int], cache: Cache) -> Any:
        """[len(tokens), vocab_size], float32, of tokens that come after what `cache` holds; it
        takes them in. Not evaluated."""
        return self._network(mx.array([tokens]), cache=cache)[0].astype(mx.float32)

    def step(self, prefill: int) -> tuple[list[PromptProgress], list[tuple[int, int]]]:
        """Decode one token of each decoding sequence and `prefill` tokens of each prompt.

        Prompts that were worked on, and (number of a sequence, its next token).
        """
        self._generator.prefill_step_size = prefill
        prompts, tokens = self._generator.next()
        progress = []
        for prompt in prompts:
            done, total = prompt.progress
            computed = done - self._done.get(prompt.uid, 0)
            self._done[prompt.uid] = done
            if done == total:
                del self._done[prompt.uid]
            progress.append(PromptProgress(prompt.uid, computed, total - done))
        return progress, [(token.uid, token.token) for token in tokens]

    def warm_up(self, tokens: int, sampler: Sampler) -> float:
        """Compute a prompt of so many tokens and a little of everything else; the seconds it took.

        MLX compiles parts of a model when they are first used; that may take seconds.
        """
        started = monotonic()
        uid = self.insert([0] * tokens, 0, None, sampler)
        while not self.step(tokens)[1]:
            pass
        self.remove([uid])
        return monotonic() - started

    def extract(self, uid: int) -> tuple[list[int], Cache]:
        """The tokens that a sequence's cache holds, and a copy of the cache (not evaluated)."""
        with mx.stream(self._generator.stream):
            cache, tokens = self._generator.extract_cache([uid])[uid]
        return list(tokens), cache

    def remove(self, uids: list[int]) -> None:
        """All at once is much cheaper than one by one: each call makes the batch anew."""
        for uid in uids:
            self._done.pop(uid, None)
        with mx.stream(self._generator.stream):
            self._generator.remove(uids)

    def close(self) -> None:
        self._generator.close()


def cut(cache: Cache, length: int, computed: int) -> Cache:
    """A view of a cache of `computed` tokens that holds the first `length`; the cache stays whole.

    The batch generator copies what it is given, so that nothing is copied here.
    """
    view = [_view(layer) for layer in cache]
    if length < computed:
        caches.trim_prompt_cache(view, computed - length)
    return view


def settle(cache: Cache) -> int:
    """Have a cache evaluated, so that it no longer holds on to its batch; its bytes."""
    mx.async_eval([layer.state for layer in cache])
    return sum(layer.nbytes for layer in cache)


def _view(layer: Any) -> Any:
    if isinstance(layer, caches.CacheList):
        return caches.CacheList(*(_view(inner) for inner in layer.caches))
    return copy.copy(layer)


def _leaves(cache: Any) -> Iterator[Any]:
    for layer in cache:
        if isinstance(layer, caches.CacheList):
            yield from _leaves(layer.caches)
        else:
            yield layer


def _has_window(cache: Cache) -> bool:
    """Some layer forgets what is far back: then it cannot be cut once the window was exceeded."""
    return any(isinstance(layer, caches.RotatingKVCache) for layer in _leaves(cache))


def _cost(cache: Cache) -> CacheCost:
    """From a cache that holds one token."""
    layers = []
    fixed = 0
    for layer in _leaves(cache):
        keys = getattr(layer, "keys", None)
        if keys is None:
            fixed += layer.nbytes
        else:
            layers.append(Layer(layer.nbytes // keys.shape[2], getattr(layer, "max_size", None)))
    return CacheCost(tuple(layers), fixed)
