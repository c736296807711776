"""What those who wait for a model are told: why, how far it is, and when to come back. Pure."""

from __future__ import annotations

import math

from tricorn.errors import Overloaded, TooManyRequests, TricornError
from tricorn.manager.pool.calls import Call
from tricorn.manager.pool.served_model import ServedModel
from tricorn.manager.protocol.calls import Progress

DEFAULT_RETRY_S = 5.0
LONGEST_RETRY_S = 120.0


def retry_s(served: ServedModel, now: float) -> float:
    """When it is worth to ask again, in whole seconds."""
    eta = served.eta_s(now)
    return float(math.ceil(min(max(eta or DEFAULT_RETRY_S, 1.0), LONGEST_RETRY_S)))


def full(served: ServedModel, model: str, now: float) -> TricornError:
    """The error where no more may wait for it."""
    text = f"{len(served.waiting)} requests are waiting for the model {model} already"
    if served.is_leasable():
        return TooManyRequests(text, retry_after_s=DEFAULT_RETRY_S)
    return Overloaded(text, retry_after_s=retry_s(served, now))


def too_long(served: ServedModel, model: str, waited_s: float, now: float) -> Overloaded:
    """The error for one that has waited as long as it may."""
    text = f"no place for the model {model} came free within {waited_s:g} s"
    return Overloaded(text, retry_after_s=retry_s(served, now))


def progress(served: ServedModel, call: Call, now: float) -> Progress:
    """Why a call waits."""
    loading = next((one for one in served.live() if one.state == "LOADING"), None)
    if served.is_leasable():
        text = f"{len(served.waiting)} requests wait for the model {call.model}, which is busy"
        return Progress(call.number, text)
    if loading is not None:
        text = f"the model {call.model} is loading"
        return Progress(call.number, text, loading.progress, served.eta_s(now))
    return Progress(call.number, f"the model {call.model} waits for room", None, served.eta_s(now))
