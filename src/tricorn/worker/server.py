"""The data socket of an engine worker: gateways' requests in, one frame an engine step out."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec
import structlog

from tricorn.engines.base import InferenceEngine
from tricorn.engines.request import Waited
from tricorn.engines.spec import LoadedModel
from tricorn.errors import EngineLost, InternalError, TricornError
from tricorn.tracing.headers import trace_id
from tricorn.wire import MAX_FRAME, MAX_HELLO, FrameError, pack, read_frame
from tricorn.worker import protocol
from tricorn.worker.fitting import fitted
from tricorn.worker.pooling import Pooler
from tricorn.worker.prepare import Preparer
from tricorn.worker.tokenising import detokenized, tokenized

HELLO_TIMEOUT_S = 5.0

log = structlog.get_logger(part="worker")


class WorkerServer:
    """Serves one loaded engine on one address.

    on_lost: called once, when the engine said that it is finished (`EngineLost`).
    """

    def __init__(
        self,
        engine: InferenceEngine,
        model: LoadedModel,
        *,
        secret: str = "",
        on_lost: Callable[[], None],
    ) -> None:
        self.engine = engine
        self.secret = secret
        self.on_lost = on_lost
        self.context_length = model.context_length
        self.preparer = Preparer(engine, model)
        # Rendering and tokenising of a long prompt must not hold up the other streams' frames.
        self.preparing = ThreadPoolExecutor(1, thread_name_prefix="prepare")
        self.pooler = Pooler(engine, model, self.preparer, self.preparing)
        self._numbers = itertools.count(1)
        self._server: asyncio.Server | None = None

    async def listen(self, address: str) -> str:
        """Start listening; gives the address with the port that was chosen."""
        scheme, _, rest = address.partition(":")
        if scheme == "unix":
            self._server = await asyncio.start_unix_server(self._serve, rest)
            os.chmod(rest, 0o600)
            return address
        host, _, port = rest.rpartition(":")
        self._server = await asyncio.start_server(self._serve, host, int(port))
        return f"tcp:{host}:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if await self._admitted(reader):
                await _Connection(self, next(self._numbers), reader, writer).run()
        except FrameError as error:
            log.warning("connection broke the protocol", error=str(error))
        except asyncio.CancelledError:
            # The worker is ending; asyncio would log the cancelled callback as an error.
            log.debug("connection ended by shutdown")
        finally:
            writer.close()

    async def _admitted(self, reader: asyncio.StreamReader) -> bool:
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_S):
                payload = await read_frame(reader, MAX_HELLO)
        except TimeoutError:
            return False
        if payload is None:
            return False
        hello = protocol.decode_op(payload)
        return isinstance(hello, protocol.Hello) and hmac.compare_digest(
            hello.secret.encode(), self.secret.encode()
        )


class _Connection:
    """One gateway worker. Its requests end with it."""

    def __init__(
        self,
        server: WorkerServer,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._server = server
        self._number = number
        self._reader = reader
        self._writer = writer
        self._requests: dict[int, asyncio.Task[None]] = {}
        self._outbox: list[protocol.Event] = []

    async def run(self) -> None:
        try:
            while (payload := await read_frame(self._reader)) is not None:
                op = protocol.decode_op(payload)
                if isinstance(op, protocol.Request):
                    self._begin(op)
                elif isinstance(op, protocol.Cancel) and op.id in self._requests:
                    self._requests[op.id].cancel()
        finally:
            running = list(self._requests.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _begin(self, op: protocol.Request) -> None:
        if op.id in self._requests:
            raise FrameError(f"there is a request {op.id} already")
        task = asyncio.create_task(self._request(op))
        self._requests[op.id] = task
        # Not in the task's `finally`: one that is cancelled before its first turn never runs.
        task.add_done_callback(lambda _task: self._requests.pop(op.id, None))

    async def _request(self, op: protocol.Request) -> None:
        try:
            waited = await self._answer(op)
            self._send(protocol.Finished(op.id, None if waited is None else waited.seconds))
        except EngineLost as error:
            self._send(protocol.Failed(op.id, error.info()))
            self._server.on_lost()
        except TricornError as error:
            self._send(protocol.Failed(op.id, error.info()))
        except Exception as error:
            trace = getattr(op, "trace", None)
            log.exception("request failed", request_id=op.request_id, trace_id=trace_id(trace))
            failure = InternalError(f"the engine worker failed on this request: {error}")
            self._send(protocol.Failed(op.id, failure.info()))

    async def _answer(self, op: protocol.Request) -> Waited | None:
        server = self._server
        in_thread = partial(asyncio.get_running_loop().run_in_executor, server.preparing)
        match op:
            case protocol.Start():
                return await self._generate(op)
            case protocol.Embed():
                async for vectors in server.pooler.embed(op):
                    self._send(vectors)
            case protocol.Score():
                self._send(await server.pooler.score(op))
            case protocol.Tokenize():
                fit = await fitted(op, server.preparer, server.context_length, in_thread)
                told = partial(tokenized, server.engine, server.preparer, fit.op, fit.rendered)
                tokens = await in_thread(told)
                self._send(msgspec.structs.replace(tokens, truncated=fit.truncated))
            case protocol.Detokenize():
                self._send(await in_thread(detokenized, server.engine, server.preparer, op))
        return None

    async def _generate(self, start: protocol.Start) -> Waited | None:
        server = self._server
        in_thread = partial(asyncio.get_running_loop().run_in_executor, server.preparing)
        # Two gateways may use the same number, and a retried request the same request id.
        engine_id = f"{self._number}.{start.id}"
        start, rendered, truncated = await fitted(
            start, server.preparer, server.context_length, in_thread
        )
        request = await in_thread(server.preparer.prepare, start, engine_id, rendered)
        text = server.preparer.prompt_text(request) if start.prompt_text else None
        scored = start.prompt_logprobs is not None
        first = server.preparer.first_token(request) if scored else None
        ids = request.prompt_token_ids
        reading = server.preparer.reading(start, ids)
        self._send(protocol.Started(start.id, len(ids), text, first, reading, truncated))
        async with contextlib.aclosing(server.engine.generate(request)) as deltas:  # type: ignore[type-var]
            async for delta in deltas:
                self._send(protocol.Delta(start.id, delta))
        return request.waited

    def _send(self, event: protocol.Event) -> None:
        # All streams of one engine step wake in the same turn of the loop; what they give is
        # collected and leaves as one frame at the end of it.
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outbox.append(event)

    def _flush(self) -> None:
        events, self._outbox = self._outbox, []
        if self._writer.is_closing():
            return
        if self._writer.transport.get_write_buffer_size() > MAX_FRAME:
            log.warning("a gateway does not read what it is sent; cutting it off")
            self._writer.transport.abort()
        else:
            frame = protocol.Frame(events, self._server.engine.stats())
            self._writer.write(pack(protocol.encode(frame)))
