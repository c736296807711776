"""A streaming completions client that costs little CPU, so that it does not measure itself."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field


@dataclass
class Answer:
    """One streamed answer; times in seconds of `time.perf_counter`."""

    sent: float
    arrivals: list[float] = field(default_factory=list)
    """When each chunk with text came."""
    tokens: int = 0
    """As the server counts them."""

    @property
    def ttft(self) -> float:
        return self.arrivals[0] - self.sent

    @property
    def gaps(self) -> list[float]:
        pairs = zip(self.arrivals, self.arrivals[1:], strict=False)
        return [later - earlier for earlier, later in pairs]


async def complete(
    port: int, model: str, prompt: str, max_tokens: int, extra: dict | None = None
) -> Answer:
    """Ask for exactly `max_tokens` greedy tokens. RuntimeError where the server refuses.

    extra: further fields of the request.
    """
    body = json.dumps(
        {
            "model": model,
            "prompt": prompt,
            "max_tokens": max_tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
            **(extra or {}),
        }
    ).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = Answer(time.perf_counter())
    writer.write(
        b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    )
    try:
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError((status + await reader.read()).decode(errors="replace"))
        while line := await reader.readline():
            if line.startswith(b"data: {"):
                _take(answer, json.loads(line[6:]))
            elif line.startswith(b"data: [DONE]"):
                return answer
        raise RuntimeError("the stream ended without [DONE]")
    finally:
        writer.close()


def _take(answer: Answer, chunk: dict) -> None:
    if chunk.get("error"):
        raise RuntimeError(str(chunk["error"]))
    if chunk["choices"] and chunk["choices"][0]["text"]:
        answer.arrivals.append(time.perf_counter())
    if chunk.get("usage"):
        answer.tokens = chunk["usage"]["completion_tokens"]
