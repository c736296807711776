"""What a server does of OpenAI's API: `python test_openai_compatibility.py --base-url URL`.

Talks to any server with the official client (`pip install openai httpx`) and prints a table: pass,
FAIL, or not supported. Not supported means: refused with a clear error (400
`unsupported_parameter`, 404, 405 or 501), which is honest and no failure. Exit code 1 if anything
failed, 2 if the server cannot be reached. Not part of the test suite: it needs a running server.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any, Literal

import httpx
import openai

QUESTION: list[dict[str, Any]] = [{"role": "user", "content": "Say hello in one short sentence."}]


@dataclass(frozen=True)
class Result:
    group: str
    name: str
    outcome: Literal["pass", "FAIL", "not supported"]
    reason: str
    seconds: float


@dataclass(frozen=True)
class Target:
    """The server under test."""

    client: openai.OpenAI
    http: httpx.Client
    """Bare HTTP with the same base URL and key, for requests that the client refuses to send."""
    model: str

    def chat(self, **options: Any) -> Any:
        given: dict[str, Any] = {"model": self.model, "messages": QUESTION, "max_tokens": 16}
        given = {name: value for name, value in (given | options).items() if value is not ...}
        return self.client.chat.completions.create(**given)

    def complete(self, prompt: Any, **options: Any) -> Any:
        given: dict[str, Any] = {"model": self.model, "prompt": prompt, "max_tokens": 8}
        return self.client.completions.create(**given | options)

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.http.post(path, json={"model": self.model, **body})


Check = Callable[[Target], object]
CHECKS: list[tuple[str, str, Check]] = []


def check(group: str, name: str) -> Callable[[Check], Check]:
    """Put a function into the table; it raises where the server falls short."""

    def add(function: Check) -> Check:
        CHECKS.append((group, name, function))
        return function

    return add


def expect(holds: object, otherwise: str) -> None:
    if not holds:
        raise AssertionError(otherwise)


def expect_error(answer: httpx.Response, status: int | tuple[int, ...]) -> dict[str, Any]:
    """The answer is OpenAI's error envelope with that status; gives its `error` object."""
    wanted = (status,) if isinstance(status, int) else status
    expect(answer.status_code in wanted, f"status {answer.status_code}, not {wanted[0]}")
    try:
        error = answer.json()["error"]
    except (ValueError, KeyError, TypeError):
        raise AssertionError("no JSON body with an `error` object") from None
    expect(isinstance(error, dict), "`error` is no object")
    expect(isinstance(error.get("message"), str), "error.message is missing")
    expect(isinstance(error.get("type"), str), "error.type is missing")
    for field in ("param", "code"):
        expect(field in error, f"error.{field} is missing (null where there is none)")
        value = error[field]
        expect(value is None or isinstance(value, str), f"error.{field} is no string")
    return error


def text_of(answer: Any) -> str:
    return answer.choices[0].message.content or ""


# --- models -------------------------------------------------------------------------------------


@check("models", "list")
def _(on: Target) -> None:
    listed = on.client.models.list().data
    expect(listed, "the list is empty")
    expect(all(model.object == "model" for model in listed), "an entry's object is not `model`")
    expect(on.model in [model.id for model in listed], f"{on.model} is not in it")


@check("models", "retrieve one")
def _(on: Target) -> None:
    expect(on.client.models.retrieve(on.model).id == on.model, "another id came back")


@check("models", "an unknown one is 404")
def _(on: Target) -> None:
    expect_error(on.http.get("models/no-such-model"), 404)


# --- chat completions ---------------------------------------------------------------------------


@check("chat", "answer")
def _(on: Target) -> None:
    answer = on.chat()
    expect(answer.object == "chat.completion", f"object is {answer.object}")
    expect(answer.choices[0].message.role == "assistant", "the role is not assistant")
    expect(text_of(answer), "the text is empty")
    expect(answer.choices[0].finish_reason in ("stop", "length"), "no finish_reason")
    use = answer.usage
    expect(use and use.total_tokens == use.prompt_tokens + use.completion_tokens, "usage is off")


@check("chat", "ids, created, model")
def _(on: Target) -> None:
    first, second = on.chat(), on.chat()
    expect(first.id != second.id, "two answers have one id")
    expect(abs(first.created - time.time()) < 3600, "created is not now, in seconds")
    expect(first.model, "model is empty")


@check("chat", "system_fingerprint")
def _(on: Target) -> None:
    expect(on.chat().system_fingerprint, "it is missing")


@check("chat", "x-request-id header")
def _(on: Target) -> None:
    raw = on.client.chat.completions.with_raw_response.create(
        model=on.model, messages=QUESTION, max_tokens=1
    )
    expect(raw.headers.get("x-request-id"), "it is missing")


@check("chat", "stream")
def _(on: Target) -> None:
    chunks = list(on.chat(stream=True))
    expect(len(chunks) > 2, f"only {len(chunks)} chunks")
    expect(all(c.object == "chat.completion.chunk" for c in chunks), "a chunk has another object")
    expect(len({chunk.id for chunk in chunks}) == 1, "the chunks have several ids")
    with_choice = [chunk for chunk in chunks if chunk.choices]
    expect(with_choice[0].choices[0].delta.role == "assistant", "the first chunk has no role")
    expect("".join(c.choices[0].delta.content or "" for c in with_choice), "the text is empty")
    expect(with_choice[-1].choices[0].finish_reason, "the last chunk has no finish_reason")


@check("chat", "stream ends with [DONE]")
def _(on: Target) -> None:
    body = {"model": on.model, "messages": QUESTION, "max_tokens": 4, "stream": True}
    with on.http.stream("POST", "chat/completions", json=body) as answer:
        kind = answer.headers.get("content-type", "")
        expect(kind.startswith("text/event-stream"), f"content-type is {kind}")
        lines = [line for line in answer.iter_lines() if line.startswith("data:")]
    expect(lines[-1] == "data: [DONE]", f"the last event is {lines[-1][:40]!r}")


@check("chat", "usage in the stream")
def _(on: Target) -> None:
    chunks = list(on.chat(stream=True, stream_options={"include_usage": True}))
    expect(chunks[-1].usage, "the last chunk has no usage")
    expect(not chunks[-1].choices, "the chunk with the usage has choices")
    expect(all(chunk.usage is None for chunk in chunks[:-1]), "earlier chunks have a usage")


@check("chat", "stream and answer are the same text")
def _(on: Target) -> None:
    whole = text_of(on.chat(temperature=0, seed=1))
    chunks = on.chat(temperature=0, seed=1, stream=True)
    streamed = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    expect(whole == streamed, f"{whole[:30]!r} and {streamed[:30]!r}")


@check("chat", "max_tokens")
def _(on: Target) -> None:
    answer = on.chat(max_tokens=3)
    expect(answer.usage.completion_tokens <= 3, f"{answer.usage.completion_tokens} tokens came")


@check("chat", "max_completion_tokens")
def _(on: Target) -> None:
    answer = on.chat(max_tokens=..., max_completion_tokens=3)
    expect(answer.usage.completion_tokens <= 3, f"{answer.usage.completion_tokens} tokens came")


@check("chat", "finish_reason length")
def _(on: Target) -> None:
    story = [{"role": "user", "content": "Tell a very long story about the sea."}]
    answer = on.chat(messages=story, max_tokens=2)
    expect(answer.choices[0].finish_reason == "length", answer.choices[0].finish_reason)


@check("chat", "stop string")
def _(on: Target) -> None:
    whole = text_of(on.chat(temperature=0, max_tokens=16))
    middle = whole[len(whole) // 2 :][:3]
    expect(middle, "no text to stop in")
    answer = on.chat(temperature=0, max_tokens=16, stop=[middle])
    expect(middle not in text_of(answer), "the stop string is in the text")
    expect(whole.startswith(text_of(answer)), "the text before it differs")
    expect(answer.choices[0].finish_reason == "stop", answer.choices[0].finish_reason)


@check("chat", "n = 3")
def _(on: Target) -> None:
    answer = on.chat(n=3, temperature=1)
    expect([choice.index for choice in answer.choices] == [0, 1, 2], "not three choices in order")


@check("chat", "seed repeats the answer")
def _(on: Target) -> None:
    first, second = (text_of(on.chat(seed=42, temperature=1)) for _ in range(2))
    expect(first == second, f"{first[:30]!r} and {second[:30]!r}")


@check("chat", "temperature, top_p, penalties, logit_bias")
def _(on: Target) -> None:
    penalties = {"presence_penalty": 0.1, "frequency_penalty": 0.1}
    on.chat(temperature=0.5, top_p=0.9, logit_bias={"5": -5}, **penalties)


@check("chat", "logprobs")
def _(on: Target) -> None:
    answer = on.chat(logprobs=True, top_logprobs=2, max_tokens=4, temperature=0)
    found = answer.choices[0].logprobs
    expect(found and found.content, "they are missing")
    expect(all(item.logprob <= 0 for item in found.content), "one is above 0")
    expect(all(len(item.top_logprobs) == 2 for item in found.content), "not two top_logprobs")


@check("chat", "role developer")
def _(on: Target) -> None:
    on.chat(messages=[{"role": "developer", "content": "Be brief."}, *QUESTION])


@check("chat", "content as parts")
def _(on: Target) -> None:
    parts = [{"type": "text", "text": "Say "}, {"type": "text", "text": "hello."}]
    on.chat(messages=[{"role": "user", "content": parts}])


@check("chat", "several turns")
def _(on: Target) -> None:
    turns = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "My name is Ada."},
        {"role": "assistant", "content": "Hello, Ada."},
        {"role": "user", "content": "What is my name?"},
    ]
    short = on.chat(messages=turns[:2]).usage.prompt_tokens
    long = on.chat(messages=turns).usage.prompt_tokens
    expect(long > short, "earlier turns are not in the prompt")


@check("chat", "hints are accepted (user, metadata, store)")
def _(on: Target) -> None:
    on.chat(user="someone", metadata={"a": "b"}, store=False)


@check("chat", "other scripts arrive whole")
def _(on: Target) -> None:
    wanted = [{"role": "user", "content": "Repeat exactly: 你好 🙂 Grüße"}]
    # Sampled freely, a small model may write broken characters of its own.
    chunks = on.chat(messages=wanted, stream=True, max_tokens=32, temperature=0)
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    expect("\ufffd" not in text, "broken characters in the stream")


# --- completions --------------------------------------------------------------------------------


@check("completions", "string")
def _(on: Target) -> None:
    answer = on.complete("Once upon a time")
    expect(answer.object == "text_completion", f"object is {answer.object}")
    expect(answer.choices[0].text, "the text is empty")


@check("completions", "list of strings")
def _(on: Target) -> None:
    answer = on.complete(["One, two,", "A, B,"])
    expect([choice.index for choice in answer.choices] == [0, 1], "not two choices in order")


@check("completions", "token ids")
def _(on: Target) -> None:
    expect(on.complete([40, 41, 42]).usage.prompt_tokens == 3, "prompt_tokens is not 3")


@check("completions", "stream")
def _(on: Target) -> None:
    text = "".join(c.choices[0].text for c in on.complete("One, two,", stream=True) if c.choices)
    expect(text, "the text is empty")


@check("completions", "echo")
def _(on: Target) -> None:
    expect(on.complete("One, two,", echo=True).choices[0].text.startswith("One, two,"), "no echo")


@check("completions", "logprobs")
def _(on: Target) -> None:
    found = on.complete("One, two,", logprobs=2, temperature=0).choices[0].logprobs
    expect(found and found.tokens, "they are missing")
    expect(len(found.tokens) == len(found.token_logprobs), "tokens and logprobs differ in number")


# --- errors -------------------------------------------------------------------------------------


@check("errors", "unknown model is 404 model_not_found")
def _(on: Target) -> None:
    answer = on.http.post("chat/completions", json={"model": "no-such", "messages": QUESTION})
    expect(expect_error(answer, 404)["code"] == "model_not_found", "code is not model_not_found")


@check("errors", "unknown role is 400 with param")
def _(on: Target) -> None:
    bad = [{"role": "pirate", "content": "Arr"}]
    error = expect_error(on.post("chat/completions", messages=bad), 400)
    expect("messages" in (error["param"] or ""), f"param is {error['param']!r}")


@check("errors", "temperature out of range is 400 with param")
def _(on: Target) -> None:
    error = expect_error(on.post("chat/completions", messages=QUESTION, temperature=9), 400)
    expect(error["param"] == "temperature", f"param is {error['param']!r}")


@check("errors", "wrong type is 400")
def _(on: Target) -> None:
    expect_error(on.post("chat/completions", messages="hello"), 400)


@check("errors", "missing messages is 400")
def _(on: Target) -> None:
    expect_error(on.post("chat/completions"), 400)


@check("errors", "malformed JSON is 400")
def _(on: Target) -> None:
    answer = on.http.post(
        "chat/completions", content=b'{"model":', headers={"content-type": "application/json"}
    )
    expect_error(answer, 400)


@check("errors", "unknown path is 404 in JSON")
def _(on: Target) -> None:
    expect_error(on.http.get("no/such/path"), 404)


@check("errors", "wrong method is 405 in JSON")
def _(on: Target) -> None:
    expect_error(on.http.get("chat/completions"), (405, 404))


@check("errors", "a prompt beyond the context is refused")
def _(on: Target) -> None:
    long = [{"role": "user", "content": "word " * 300_000}]
    error = expect_error(on.post("chat/completions", messages=long, max_tokens=1), (400, 413))
    expect(error["message"], "no message")


@check("errors", "a bad request in a stream keeps its status")
def _(on: Target) -> None:
    expect_error(on.post("chat/completions", messages=QUESTION, temperature=9, stream=True), 400)


# --- under load ---------------------------------------------------------------------------------


@check("load", "16 requests at once")
def _(on: Target) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: on.chat(max_tokens=8), range(16)))
    expect(all(answer.choices[0].finish_reason for answer in answers), "an answer is incomplete")


@check("load", "clients that hang up leave no trace")
def _(on: Target) -> None:
    story = [{"role": "user", "content": "Tell a very long story about the sea."}]
    for _ in range(8):
        stream = on.chat(messages=story, stream=True, max_tokens=512)
        next(iter(stream))
        stream.close()
    started = time.monotonic()
    on.chat(max_tokens=1)
    expect(time.monotonic() - started < 30, "the next request waited for the abandoned ones")


# --- not everybody has these --------------------------------------------------------------------

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}
WEATHER_ASKED = [{"role": "user", "content": "What is the weather in Paris?"}]
WEATHER_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
}


def _weather(on: Target, **options: Any) -> Any:
    options = {"tools": [WEATHER], "parallel_tool_calls": False, "max_tokens": 256} | options
    return on.chat(messages=WEATHER_ASKED, **options)


def _is_weather(call: Any) -> None:
    expect(call.id, "the call has no id")
    expect(call.function.name == "weather", f"{call.function.name} was called")
    expect("city" in json.loads(call.function.arguments), "the arguments lack `city`")


@check("optional", "tools, with tool_choice required")
def _(on: Target) -> None:
    choice = _weather(on, tool_choice="required").choices[0]
    calls = choice.message.tool_calls
    expect(calls, "no tool was called")
    _is_weather(calls[0])
    expect(choice.finish_reason == "tool_calls", f"finish_reason is {choice.finish_reason}")


@check("optional", "tools, with tool_choice naming one")
def _(on: Target) -> None:
    named = {"type": "function", "function": {"name": "weather"}}
    other = {"type": "function", "function": {"name": "now"}}
    calls = _weather(on, tools=[other, WEATHER], tool_choice=named).choices[0].message.tool_calls
    expect(calls, "no tool was called")
    _is_weather(calls[0])


@check("optional", "tools, streamed")
def _(on: Target) -> None:
    name = text = ""
    for chunk in _weather(on, tool_choice="required", stream=True):
        for choice in chunk.choices:
            for part in choice.delta.tool_calls or []:
                expect(part.index == 0, "there is more than one call")
                name += part.function.name or ""
                text += part.function.arguments or ""
    expect(name == "weather", f"the name is {name!r}")
    expect("city" in json.loads(text), "the arguments lack `city`")


@check("optional", "tools, with tool_choice none")
def _(on: Target) -> None:
    message = _weather(on, tool_choice="none", max_tokens=16).choices[0].message
    expect(not message.tool_calls, "a tool was called")


@check("optional", "tools, with a result in the conversation")
def _(on: Target) -> None:
    story = [
        *WEATHER_ASKED,
        {"role": "assistant", "content": None, "tool_calls": [WEATHER_CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "21 degrees"},
    ]
    message = on.chat(messages=story, tools=[WEATHER], max_tokens=32).choices[0].message
    expect(message.content or message.tool_calls, "there is no answer")


@check("optional", "tools, a result without its call is refused")
def _(on: Target) -> None:
    lone = {"role": "tool", "tool_call_id": "call_2", "content": "21 degrees"}
    messages = [*WEATHER_ASKED, lone]
    expect_error(on.post("chat/completions", messages=messages, tools=[WEATHER]), 400)


@check("optional", "response_format json_schema")
def _(on: Target) -> None:
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "integer"}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    named = {"name": "sum", "schema": schema, "strict": True}
    wanted = {"type": "json_schema", "json_schema": named}
    asked = [{"role": "user", "content": "What is 2 + 2? Answer in JSON."}]
    answer = on.chat(messages=asked, response_format=wanted, max_tokens=32)
    expect(isinstance(json.loads(text_of(answer))["answer"], int), "it does not follow the schema")


@check("optional", "embeddings")
def _(on: Target) -> None:
    answer = on.client.embeddings.create(model=on.model, input=["one", "two"])
    expect([item.index for item in answer.data] == [0, 1], "not two vectors in order")


@check("optional", "responses")
def _(on: Target) -> None:
    answer = on.client.responses.create(model=on.model, input="Say hello.", max_output_tokens=16)
    expect(answer.output_text, "the text is empty")


# --- running them -------------------------------------------------------------------------------


def run_check(on: Target, group: str, name: str, function: Check) -> Result:
    """One row of the table. Every failure of the server ends up in it, none ends the run."""
    started = time.monotonic()
    outcome: Literal["pass", "FAIL", "not supported"] = "pass"
    reason = ""
    try:
        function(on)
    except openai.APIStatusError as error:
        honest = error.code == "unsupported_parameter" or error.status_code in (404, 405, 501)
        refused = honest and (group == "optional" or error.code == "unsupported_parameter")
        outcome = "not supported" if refused else "FAIL"
        said = error.body.get("message") if isinstance(error.body, dict) else error.message
        reason = f"{error.status_code} {error.code or ''}: {said}"
    except Exception as error:  # noqa: BLE001 - whatever a server makes the client raise is a row
        outcome = "FAIL"
        kind = "" if isinstance(error, AssertionError) else f"{type(error).__name__}: "
        reason = f"{kind}{error}"
    return Result(group, name, outcome, " ".join(reason.split()), time.monotonic() - started)


def show(results: list[Result]) -> None:
    width = max(len(f"{result.group}: {result.name}") for result in results)
    for result in results:
        row = f"{result.group + ': ' + result.name:<{width}}  {result.outcome:<13}"
        print(f"{row} {result.seconds:6.1f} s  {result.reason[:100]}".rstrip())
    counts = Counter(result.outcome for result in results)
    print("\n" + ", ".join(f"{counts[kind]} {kind}" for kind in ("pass", "FAIL", "not supported")))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--base-url", default="http://localhost:8000/v1", help="ends with /v1")
    parser.add_argument("--api-key", default="none")
    parser.add_argument("--model", help="default: the server's first")
    parser.add_argument("--timeout", type=float, default=120.0, help="seconds a request may take")
    parser.add_argument("--only", help="checks whose name has this in it")
    parser.add_argument("--json", action="store_true", help="results as JSON")
    options = parser.parse_args()

    base = options.base_url.rstrip("/") + "/"
    client = openai.OpenAI(
        base_url=base, api_key=options.api_key, timeout=options.timeout, max_retries=0
    )
    headers = {"authorization": f"Bearer {options.api_key}"}
    with httpx.Client(base_url=base, headers=headers, timeout=options.timeout) as http:
        try:
            listed = [model.id for model in client.models.list().data]
        except openai.APIConnectionError as error:
            print(f"{base} does not answer: {error.__cause__ or error}", file=sys.stderr)
            return 2
        except openai.APIError as error:
            print(f"{base}models cannot be read: {error}", file=sys.stderr)
            listed = []
        model = options.model or next(iter(listed), None)
        if model is None:
            print("the server lists no model: name one with --model", file=sys.stderr)
            return 2
        on = Target(client, http, model)
        results = [
            run_check(on, group, name, function)
            for group, name, function in CHECKS
            if options.only is None or options.only in f"{group}: {name}"
        ]
    if not results:
        print(f"no check has {options.only!r} in its name", file=sys.stderr)
        return 2
    if options.json:
        rows = [asdict(result) for result in results]
        print(json.dumps({"base_url": base, "model": model, "results": rows}, indent=2))
    else:
        show(results)
    return 1 if any(result.outcome == "FAIL" for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
