"""Constrained decoding: which tokens may come next, by llguidance.

    Constraint ──compile, once──► grammar ──copy──► Matcher, one a sequence: mask, sample, accept …

Imported in engine environments only. vLLM has this built in; the stepped engines use it.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection

import numpy as np
import numpy.typing as npt
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, regex_to_lark
from llguidance.gbnf_to_lark import gbnf_to_lark, is_lark_syntax
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

from tricorn.engines import json_style
from tricorn.engines.request import Constraint, ConstraintKind
from tricorn.errors import EngineGenerateError, InvalidRequest

Logits = npt.NDArray[np.float32]

KEPT_GRAMMARS = 32
"""Compiled grammars that are kept, the least recently used going first: some MB each at most."""

FUEL = 100_000
"""A tenth of llguidance's own: enough for 9000 words or 8000 values to choose from."""

DEEP_STACK = 256 << 20
"""Bytes, of address space. The compiler recurses along chains of rules and references: on a usual
stack a text of 40 kB can make it overrun, which would be the end of the process."""

_WHAT: dict[ConstraintKind, str] = {
    "json_object": "JSON",
    "json_schema": "the JSON schema",
    "regex": "the regular expression",
    "choice": "the list of choices",
    "grammar": "the grammar",
}


class ConstraintCompiler:
    """Makes matchers for one tokenizer. Safe to use from several threads.

    end_tokens: further ids that end an answer; they may come wherever the tokenizer's own may.
    """

    def __init__(self, tokenizer: LLTokenizer, *, end_tokens: Collection[int] = ()) -> None:
        self._tokenizer = tokenizer
        self._end_tokens = np.array(sorted({tokenizer.eos_token, *end_tokens}), dtype=np.int64)
        self._limits = LLParserLimits(verbose_errors=False, initial_lexer_fuel=FUEL)
        self._compiled: OrderedDict[tuple[ConstraintKind, str], LLMatcher] = OrderedDict()
        self._lock = threading.Lock()

    def matcher(self, constraint: Constraint) -> Matcher:
        """A fresh matcher. Takes up to a second for a constraint that was not seen lately.

        InvalidRequest naming `constraint.param` where it cannot be enforced.
        """
        key = (constraint.kind, constraint.value)
        with self._lock:
            compiled = self._compiled.get(key)
            if compiled is None:
                compiled = self._compiled[key] = self._compile(constraint)
                if len(self._compiled) > KEPT_GRAMMARS:
                    self._compiled.popitem(last=False)
            self._compiled.move_to_end(key)
            own = compiled.deep_copy()
        return Matcher(own, self._tokenizer, self._end_tokens)

    def _compile(self, constraint: Constraint) -> LLMatcher:
        try:
            grammar = _grammar(constraint)
        except ValueError as error:
            raise _refusal(constraint, str(error)) from error
        matcher = _on_deep_stack(
            lambda: LLMatcher(self._tokenizer, grammar, log_level=0, limits=self._limits)
        )
        if matcher.is_error():
            raise _refusal(constraint, matcher.get_error())
        # The first mask takes longest, and some constraints fail at the first token: better here
        # than between the other streams' steps. Copies share what was found out.
        first = matcher.deep_copy()
        bits = allocate_token_bitmask(1, self._tokenizer.vocab_size)
        fill_next_token_bitmask(first, bits)
        allowed = np.flatnonzero(np.unpackbits(bits.view(np.uint8)[0], bitorder="little"))
        if not first.is_error() and len(allowed):
            first.consume_token(int(allowed[0]))
        if first.is_error():
            raise _refusal(constraint, first.get_error())
        return matcher


class Matcher:
    """How far one sequence has come in its grammar."""

    def __init__(
        self, matcher: LLMatcher, tokenizer: LLTokenizer, end_tokens: npt.NDArray[np.int64]
    ) -> None:
        self._matcher = matcher
        self._eos: int = tokenizer.eos_token
        self._end_tokens = end_tokens
        self._bits = allocate_token_bitmask(1, tokenizer.vocab_size)

    def mask(self, logits: Logits) -> None:
        """Set to -inf, in place, what may not come next. logits: [vocab_size].

        Something always may: an end token where the grammar is finished.
        """
        fill_next_token_bitmask(self._matcher, self._bits)
        self._check()
        # llguidance's own kernel takes ten times as long for the same.
        allowed = np.unpackbits(self._bits.view(np.uint8)[0], bitorder="little").view(np.bool_)
        if allowed[self._eos]:
            allowed[self._end_tokens] = True
        allowed = allowed[: len(logits)]
        np.copyto(logits[: len(allowed)], -np.inf, where=~allowed)
        logits[len(allowed) :] = -np.inf

    def accept(self, token: int) -> None:
        """The token that was sampled after `mask`."""
        self._matcher.consume_token(self._eos if token in self._end_tokens else token)
        self._check()

    def _check(self) -> None:
        if self._matcher.is_error():
            raise EngineGenerateError(
                f"the constraint could not be followed further: {self._matcher.get_error()}"
            )


def _grammar(constraint: Constraint) -> str:
    """In llguidance's own form. ValueError where the text is not even of its kind."""
    match constraint.kind:
        case "json_object":
            return _json_grammar('{"type": "object"}')
        case "json_schema":
            return _json_grammar(constraint.value)
        case "regex":
            # \d, \w and \s are those of ASCII, as on vLLM.
            pattern = regex_to_lark(constraint.value, "dws")
            return LLMatcher.grammar_from_lark(f"start: /{pattern}/")
        case "choice":
            # Lark writes a string as JSON does.
            choices = (json.dumps(choice, ensure_ascii=False) for choice in _choices(constraint))
            return LLMatcher.grammar_from_lark("start: " + " | ".join(choices))
        case "grammar":
            return LLMatcher.grammar_from_lark(_lark(constraint.value))


def _json_grammar(schema: str) -> str:
    # Overrides: whatever the schema's own `x-guidance` says.
    return LLMatcher.grammar_from_json_schema(schema, overrides=json_style.OPTIONS)


def _choices(constraint: Constraint) -> list[str]:
    choices = json.loads(constraint.value)
    if not isinstance(choices, list) or not all(isinstance(one, str) and one for one in choices):
        raise ValueError("every choice must be a string that is not empty")
    if not choices:
        raise ValueError("it is empty")
    return choices


def _lark(grammar: str) -> str:
    if is_lark_syntax(grammar):
        return grammar
    try:
        return gbnf_to_lark(grammar)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except Exception as error:  # the converter raises plain Exception for whatever it finds wrong
        raise ValueError(str(error)) from error


def _on_deep_stack(compile_it: Callable[[], LLMatcher]) -> LLMatcher:
    compiled: list[LLMatcher] = []
    before = threading.stack_size(DEEP_STACK)
    try:
        thread = threading.Thread(target=lambda: compiled.append(compile_it()), name="compile")
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    return compiled[0]


def _refusal(constraint: Constraint, reason: str) -> InvalidRequest:
    what = _WHAT[constraint.kind]
    return InvalidRequest(
        f"Invalid value for '{constraint.param}': {what} cannot be used: {reason}",
        param=constraint.param,
    )
