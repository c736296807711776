"""Where a gateway's requests are admitted on their way to the pool, and settled on their way back.

    Acquire ──admitted?──► pool ──Granted──► lease ──Release──► settled, counted
       │ no                 │ Refused, Withdraw: cancelled
       ▼                    │ connection lost: what was reserved counts as used
    Refused ◄───────────────┘

All gateways pass by one `Admission`: limits are those of all of them together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from tricorn.access.admission import Admission, Ticket
from tricorn.errors import TricornError
from tricorn.manager.access.usage_ledger import UsageLedger
from tricorn.manager.pool.pool import Pool
from tricorn.manager.protocol.calls import Acquire, Granted, Progress, Refused, Release

if TYPE_CHECKING:
    from tricorn.manager.figures.call_traces import CallTraces

Answer = Callable[[Granted | Refused | Progress], None]


@dataclass(eq=False)
class _Passage:
    """A call that was let through, and the lease that it becomes."""

    call: int
    key_id: str
    model: str
    ticket: Ticket | None
    lease: int | None = None


class Turnstile:
    """Of one gateway's connection; for the pool it is the holder of its leases."""

    def __init__(
        self,
        pool: Pool,
        admission: Admission,
        ledger: UsageLedger,
        answer: Answer,
        traces: CallTraces | None = None,
    ) -> None:
        """traces: None: there are none."""
        self._pool = pool
        self._admission = admission
        self._ledger = ledger
        self._answer = answer
        self._traces = traces
        self._calls: dict[int, _Passage] = {}
        self._leases: dict[int, _Passage] = {}

    def acquire(self, asked: Acquire) -> None:
        """Answered now or later, as by the pool."""
        if self._traces is not None:
            self._traces.asked(self, asked)
        claim = asked.claim
        ticket = None
        if claim is not None:
            try:
                ticket = self._admission.admit(
                    claim.key_id, claim.allowance, claim.reserve, again=claim.again
                )
            except TricornError as error:
                self._tell(Refused(asked.call, error.info()))
                return
        key_id = "" if claim is None else claim.key_id
        self._calls[asked.call] = _Passage(asked.call, key_id, asked.model, ticket)
        self._pool.acquire(
            self,
            asked.call,
            asked.model,
            asked.request_id,
            key=asked.key,
            prefix=asked.prefix,
            keep_alive_s=asked.keep_alive_s,
            weight=1.0 if claim is None else claim.allowance.weight,
        )

    def answer(self, message: Granted | Refused | Progress) -> None:
        """From the pool, to be handed on."""
        passage = self._calls.get(message.call)
        if isinstance(message, Granted) and passage is not None:
            passage.lease, passage.model = message.lease, message.served or passage.model
            self._leases[message.lease] = passage
            if passage.ticket is not None:
                rate = self._admission.rate(passage.key_id)
                message = msgspec.structs.replace(message, rate=rate)
        elif isinstance(message, Refused) and passage is not None:
            del self._calls[message.call]
            self._cancel(passage)
        self._tell(message)

    def _tell(self, message: Granted | Refused | Progress) -> None:
        if self._traces is not None and not isinstance(message, Progress):
            self._traces.answered(self, message)
        self._answer(message)

    def withdraw(self, call: int) -> None:
        """As `Pool.withdraw`."""
        if self._traces is not None:
            self._traces.given_up(self, call)
        self._pool.withdraw(self, call)
        passage = self._calls.pop(call, None)
        if passage is not None:
            if passage.lease is not None:
                del self._leases[passage.lease]
            self._cancel(passage)

    def release(self, message: Release) -> None:
        """As `Pool.release`."""
        self._pool.release(self, message.lease, lost=message.lost)
        passage = self._leases.pop(message.lease, None)
        if passage is None:
            return
        self._calls.pop(passage.call, None)
        prompt, completion = message.prompt_tokens, message.completion_tokens
        # Of a lost engine that has given nothing the request comes again.
        requests = 1 if not message.lost or prompt or completion else 0
        self._settle(passage, requests, prompt, completion)

    def drop(self) -> None:
        """The connection has ended. What its leases have taken, nobody will tell."""
        if self._traces is not None:
            self._traces.dropped(self)
        self._pool.drop(self)
        calls, self._calls, self._leases = self._calls, {}, {}
        for passage in calls.values():
            if passage.lease is None:
                self._cancel(passage)
            elif passage.ticket is not None:
                self._settle(passage, 1, passage.ticket.reserved, 0)

    def _cancel(self, passage: _Passage) -> None:
        if passage.ticket is not None:
            self._admission.cancel(passage.ticket)

    def _settle(self, passage: _Passage, requests: int, prompt: int, completion: int) -> None:
        if passage.ticket is not None:
            self._admission.settle(passage.ticket, prompt + completion)
        if requests or prompt or completion:
            self._ledger.add(passage.key_id, passage.model, requests, prompt, completion)
