"""A request that only wants a model to be loaded, or to know it as it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tricorn.gateway.requests.call import no_check
from tricorn.gateway.requests.errand import Errand
from tricorn.gateway.services import Services
from tricorn.manager.protocol.calls import Granted
from tricorn.worker.client import EngineClient


class Visit(Errand[Granted]):
    """Its only event is the lease, which is given back already.

    sock, key, keep_alive_s: as in `Errand`. check: raises a RequestError for a model that will not
    do.
    """

    def __init__(
        self,
        services: Services,
        model: str,
        request_id: str,
        check: Callable[[Granted], None] = no_check,
        sock: Any = None,
        *,
        key: str = "",
        keep_alive_s: float | None = None,
    ) -> None:
        self._check = check
        super().__init__(services, model, request_id, sock, key=key, keep_alive_s=keep_alive_s)

    def _start(self, lease: Granted, engine: EngineClient) -> Granted:
        self._check(lease)
        self._release(lost=False)
        return lease

    def _told(self, arrived: object) -> None:
        """Nothing was asked of the engine."""
