"""What may come next under a constraint, over a tokenizer that has one token a byte."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLTokenizer

from tricorn.engines.constraints import KEPT_GRAMMARS, ConstraintCompiler, Matcher
from tricorn.engines.request import Constraint, ConstraintKind
from tricorn.errors import EngineGenerateError, InvalidRequest

TOKENIZER = LLTokenizer("byte")
COMPILER = ConstraintCompiler(TOKENIZER)
EOS = TOKENIZER.eos_token

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "maxLength": 5},
        "kind": {"enum": ["cat", "dog", None]},
        "tags": {"type": "array", "items": {"type": "boolean"}, "minItems": 1, "maxItems": 3},
        "age": {"type": "integer", "minimum": 0, "maximum": 30},
        "home": {
            "type": "object",
            "properties": {"city": {"const": "Oslo"}},
            "required": ["city"],
            "additionalProperties": False,
        },
    },
    "required": ["name", "kind", "tags", "age", "home"],
    "additionalProperties": False,
}


def constraint(kind: ConstraintKind, value: Any = "", param: str = "p") -> Constraint:
    return Constraint(kind, value if isinstance(value, str) else json.dumps(value), param)


def allowed(matcher: Matcher, size: int = TOKENIZER.vocab_size) -> set[int]:
    logits = np.zeros(size, dtype=np.float32)
    matcher.mask(logits)
    return {int(token) for token in np.flatnonzero(logits == 0)}


def feed(matcher: Matcher, text: str) -> Matcher:
    for byte in text.encode():
        assert byte in allowed(matcher), (text, chr(byte))
        matcher.accept(byte)
    return matcher


def babble(what: Constraint, seed: int, longest: int = 400) -> str | None:
    """The text of a model that knows nothing; None where it found no end."""
    matcher, choose = COMPILER.matcher(what), random.Random(seed)
    text = bytearray()
    while len(text) < longest:
        token = choose.choice(sorted(allowed(matcher)))
        matcher.accept(token)
        if token == EOS:
            return text.decode()
        text.append(token)
    return None


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """As far as the schemas of these tests go."""
    if "enum" in schema:
        return value in schema["enum"]
    match schema["type"]:
        case "object":
            own = schema["properties"]
            return list(value) == list(own) and all(fits(value[k], s) for k, s in own.items())
        case "array":
            many = schema["minItems"] <= len(value) <= schema["maxItems"]
            return many and all(fits(item, schema["items"]) for item in value)
        case "string":
            return isinstance(value, str) and len(value) <= schema["maxLength"]
        case "integer":
            return type(value) is int and schema["minimum"] <= value <= schema["maximum"]
        case "boolean":
            return isinstance(value, bool)
        case kind:
            raise AssertionError(kind)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


LEAVES = st.one_of(
    st.just({"type": "boolean"}),
    st.builds(
        lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more},
        st.integers(-50, 50),
        st.integers(0, 500),
    ),
    st.builds(lambda most: {"type": "string", "maxLength": most}, st.integers(0, 4)),
    st.builds(
        lambda values: {"enum": values},
        # llguidance holds numbers as doubles: larger integers are not exact.
        st.lists(
            st.text(max_size=3) | st.integers(-(2**53), 2**53) | st.none(), min_size=1, max_size=3
        ),
    ),
)
SCHEMAS = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        LEAVES,
        lambda inner: st.one_of(
            st.dictionaries(st.text(max_size=4), inner, max_size=3).map(_object),
            st.builds(
                lambda items: {"type": "array", "items": items, "minItems": 0, "maxItems": 2}, inner
            ),
        ),
        max_leaves=6,
    ),
    max_size=3,
).map(_object)


@settings(max_examples=60, deadline=None)
@given(schema=SCHEMAS, seed=st.integers(0, 2**32))
def test_whatever_the_model_says_fits_the_schema(schema: dict[str, Any], seed: int) -> None:
    """A random schema and random tokens: what comes to its end is valid, in the schema's order."""
    text = babble(constraint("json_schema", schema), seed, 1500)
    if text is not None:
        assert fits(json.loads(text), schema)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("what", "pattern"),
    [
        (constraint("regex", r"[a-c]{2,4}-\d{3}"), r"[a-c]{2,4}-[0-9]{3}"),
        (constraint("choice", ["yes", "no", 'a "b"\n\\', "日本"]), r'yes|no|a "b"\n\\|日本'),
        (constraint("grammar", 'start: "x" DIGIT{2}\nDIGIT: /[0-9]/'), r"x[0-9]{2}"),
        (constraint("grammar", 'root ::= "x" digit digit\ndigit ::= [0-9]'), r"x[0-9]{2}"),
    ],
    ids=["regex", "choice", "lark", "gbnf"],
)
def test_every_kind_is_kept(what: Constraint, pattern: str, seed: int) -> None:
    """Random tokens under the mask give nothing but what was asked for."""
    text = babble(what, seed)
    assert text is not None
    assert re.fullmatch(pattern, text), text


def test_a_schema_is_followed_to_its_depths() -> None:
    """Nested objects, enums, arrays and bounds."""
    good = '{"name": "Tom", "kind": "cat", "tags": [true], "age": 30, "home": {"city": "Oslo"}}'
    assert EOS in allowed(feed(COMPILER.matcher(constraint("json_schema", SCHEMA)), good))
    matcher = feed(COMPILER.matcher(constraint("json_schema", SCHEMA)), '{"name": "Tom", "kind": ')
    assert {chr(token) for token in allowed(matcher)} == set('"n')


def test_json_is_written_on_one_line() -> None:
    """A model that loves line ends would write them for ever."""
    matcher = feed(COMPILER.matcher(constraint("json_object")), "{")
    assert allowed(matcher) == set(b'"}')
    feed(matcher, '"a":')
    assert allowed(matcher) == {ord(" ")}


def test_json_object_is_an_object() -> None:
    """Neither an array nor a bare value."""
    assert allowed(COMPILER.matcher(constraint("json_object"))) == {ord("{")}


def test_a_finished_answer_can_only_end() -> None:
    """End tokens alone are left, the tokenizer's and the further ones; each is accepted."""
    compiler = ConstraintCompiler(TOKENIZER, end_tokens=[0, 1])
    for end in (EOS, 0, 1):
        matcher = compiler.matcher(constraint("choice", ["a"]))
        assert allowed(matcher) == {ord("a")}
        matcher.accept(ord("a"))
        assert allowed(matcher) == {EOS, 0, 1}
        matcher.accept(end)
        assert allowed(matcher) == {EOS, 0, 1}


def test_logits_may_be_more_than_the_tokenizer_has() -> None:
    """Models pad their last layer; the padding is never sampled. Less is fine too."""
    matcher = COMPILER.matcher(constraint("choice", ["a"]))
    assert allowed(matcher, TOKENIZER.vocab_size + 100) == {ord("a")}
    assert allowed(matcher, 128) == {ord("a")}


def test_the_logits_of_allowed_tokens_stay() -> None:
    """Only what is not allowed changes."""
    logits = np.arange(TOKENIZER.vocab_size, dtype=np.float32)
    COMPILER.matcher(constraint("choice", ["a", "b"])).mask(logits)
    assert logits[[ord("a"), ord("b")]].tolist() == [97, 98]
    assert np.isneginf(np.delete(logits, [ord("a"), ord("b")])).all()


def test_a_token_that_is_not_allowed_ends_this_sequence_only() -> None:
    """An EngineGenerateError; other matchers of the same constraint are untouched."""
    what = constraint("choice", ["ab"])
    first, second = COMPILER.matcher(what), COMPILER.matcher(what)
    with pytest.raises(EngineGenerateError):
        first.accept(ord("x"))
    assert allowed(feed(second, "a")) == {ord("b")}
    assert allowed(COMPILER.matcher(what)) == {ord("a")}


@pytest.mark.parametrize(
    ("what", "names"),
    [
        (constraint("json_schema", {"type": "string", "not": {"const": "a"}}), "not"),
        (constraint("json_schema", {"type": "array", "uniqueItems": True}), "uniqueItems"),
        (
            constraint("json_schema", {"not": {}, "x-guidance": {"lenient": True}}),
            "not",
        ),
        (constraint("json_schema", {"type": "string", "format": "shoe-size"}), "shoe-size"),
        (constraint("json_schema", {"type": "text"}), "text"),
        (constraint("json_schema", {"$ref": "https://example.org/a.json"}), "example.org"),
        (constraint("json_schema", "{"), "JSON schema"),
        (constraint("regex", "(a"), "regular expression"),
        (constraint("regex", "a(?=b)"), "regular expression"),
        (constraint("grammar", "start: nowhere"), "nowhere"),
        (constraint("grammar", "root ::= nowhere"), "nowhere"),
        (constraint("grammar", "no grammar at all"), "grammar"),
        (constraint("grammar", "root ::= " + "(" * 9999), "nested too deeply"),
        (constraint("grammar", "start: " + "(" * 9999), "nested"),
        (constraint("choice", []), "empty"),
        (constraint("choice", [""]), "choice"),
        (constraint("choice", "["), "choices"),
    ],
    ids=lambda value: value.kind if isinstance(value, Constraint) else value,
)
def test_what_cannot_be_enforced_is_refused(what: Constraint, names: str) -> None:
    """400 that names the field, and what in it is the trouble."""
    with pytest.raises(InvalidRequest) as caught:
        COMPILER.matcher(what)
    assert caught.value.param == "p"
    assert "'p'" in caught.value.message
    assert names in caught.value.message


RULES = "\n".join(f"r{i}: r{i + 1}" for i in range(5000))
REFERENCES = {str(i): {"$ref": f"#/$defs/{i + 1}"} for i in range(4000)}


@pytest.mark.parametrize(
    "what",
    [
        constraint("grammar", f'start: r0\n{RULES}\nr5000: "a"'),
        constraint(
            "json_schema",
            {"$ref": "#/$defs/0", "$defs": REFERENCES | {"4000": {"type": "null"}}},
        ),
    ],
    ids=["rules", "references"],
)
def test_a_long_chain_does_not_overrun_the_stack(what: Constraint) -> None:
    """It would take the process along."""
    assert allowed(COMPILER.matcher(what)) & {ord("a"), ord("n")}


def test_a_constraint_is_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its field was called; the least recently used goes when there are too many."""
    compiler = ConstraintCompiler(TOKENIZER)
    compiled: list[str] = []
    compile_it = compiler._compile

    def count(what: Constraint) -> Any:
        compiled.append(what.value)
        return compile_it(what)

    monkeypatch.setattr(compiler, "_compile", count)
    for param in ("p", "q", "p"):
        compiler.matcher(constraint("regex", "first", param))
    assert compiled == ["first"]
    for number in range(KEPT_GRAMMARS - 1):
        compiler.matcher(constraint("regex", f"{number}"))
    compiler.matcher(constraint("regex", "first"))
    compiler.matcher(constraint("regex", "one too many"))
    compiled.clear()
    compiler.matcher(constraint("regex", "first"))
    compiler.matcher(constraint("regex", "0"))
    assert compiled == ["0"]


@pytest.mark.parametrize(
    "what",
    [
        constraint(
            "json_schema", {"type": "object", "properties": {f"p{i}": {} for i in range(999)}}
        ),
        constraint("grammar", "start: " + "b " * 20_000 + '\nb: "a" | '),
        constraint("regex", "(a|)" * 60_000),
    ],
    ids=["a thousand optional fields", "rules that may be empty", "beyond the fuel"],
)
def test_what_is_too_much_for_the_first_token_is_refused(what: Constraint) -> None:
    """When it is compiled, on a thread of its own; not between the steps of others."""
    with pytest.raises(InvalidRequest) as caught:
        COMPILER.matcher(what)
    assert caught.value.param == "p"


def test_the_first_token_is_found_while_compiling() -> None:
    """A matcher's first mask, which takes longest, is there when it is given out."""
    what = constraint("regex", "a{9000}")
    assert allowed(COMPILER.matcher(what)) == {ord("a")}
