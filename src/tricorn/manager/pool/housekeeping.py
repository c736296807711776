"""What is done for models now and then: those that wait are told why, or refused; idle ones go."""

from __future__ import annotations

from collections.abc import Callable

from tricorn import logs
from tricorn.errors import TricornError
from tricorn.manager.memory.books import MemoryBooks
from tricorn.manager.pool import waiting
from tricorn.manager.pool.calls import Call
from tricorn.manager.pool.listing import Listing
from tricorn.manager.pool.room import Plan
from tricorn.manager.pool.served_model import ServedModel

PROGRESS_S = 5.0
"""How often those who wait are told why."""
SETTLE_S = 3.0
"""How long a model is kept out by what other programs hold before its requests are refused: what
has just been given back may not show yet."""

log = logs.get("pool")


class Housekeeper:
    """Each method adds to `due` when it wants to be called again though nothing has happened."""

    def __init__(
        self,
        models: Listing,
        books: MemoryBooks,
        *,
        refuse: Callable[[Call, TricornError], None],
        unload: Callable[[ServedModel], object],
    ) -> None:
        """refuse: answers a call. unload: ends all replicas of an idle model."""
        self._models = models
        self._books = books
        self._refuse = refuse
        self._unload = unload

    def give_up(self, served: ServedModel, max_wait_s: float, now: float, due: list[float]) -> None:
        """Refuse calls that waited too long; the oldest stands first."""
        while (call := served.waiting.oldest()) is not None:
            if call.since + max_wait_s > now:
                due.append(call.since + max_wait_s)
                return
            self._refuse(call, waiting.too_long(served, call.model, max_wait_s, now))

    def expire(self, now: float, due: list[float]) -> None:
        """Unload what nobody has used for as long as it is kept."""
        for served in self._models:
            when = served.expires_at()
            if when is None:
                continue
            if when > now:
                due.append(when)
            else:
                log.info("unloading after its time to live", model=served.spec.id)
                self._unload(served)

    def refuse_what_has_no_room(self, plan: Plan, now: float, due: list[float]) -> bool:
        """Models for which there never will be room, or is none because of others than these.

        True where one has got a shorter context instead, and so may fit.
        """
        fits_now = False
        for served in self._models:
            model = served.spec.id
            if model in plan.too_large and self._is_shrunk(served):
                fits_now = True
            elif model in plan.too_large:
                self._no_room(served)
            elif model not in plan.kept_out:
                served.kept_out_since = None
            else:
                served.kept_out_since = served.kept_out_since or now
                if served.kept_out_since + SETTLE_S <= now:
                    self._no_room(served)
                else:
                    due.append(served.kept_out_since + SETTLE_S)
        return fits_now

    def tell_progress(self, now: float, due: list[float]) -> None:
        """To all who wait."""
        for served in self._models:
            if not served.waiting:
                continue
            if served.told_at + PROGRESS_S <= now:
                served.told_at = now
                for call in list(served.waiting):
                    call.holder.answer(waiting.progress(served, call, now))
            due.append(served.told_at + PROGRESS_S)

    def _is_shrunk(self, served: ServedModel) -> bool:
        if not served.spec.serving.shrink_context or served.shrunk is not None:
            return False
        served.shrunk = self._books.shrunk(served.spec)
        return served.shrunk is not None

    def _no_room(self, served: ServedModel) -> None:
        error = self._books.insufficient(served.spec)
        served.failure = error
        if not served.live():  # else those serve on
            served.wanted = False
            for call in list(served.waiting):
                self._refuse(call, error)
