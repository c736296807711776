"""Tests of `tricorn.gateway.http.heartbeat`."""

from __future__ import annotations

from queue import SimpleQueue

import pytest

from tricorn.gateway.http.heartbeat import SILENCE, Heartbeat, Pulse

WAIT_S = 5.0


def test_a_wait_is_silent_after_a_whole_beat_without_a_sign() -> None:
    """The first beat after a sign of life only asks."""
    inbox: SimpleQueue[object] = SimpleQueue()
    pulse = Pulse(inbox)
    pulse.beat()
    assert inbox.empty()
    pulse.beat()
    assert inbox.get_nowait() is SILENCE
    pulse.beat()
    assert inbox.get_nowait() is SILENCE, "it is told again while it lasts"
    pulse.alive = True
    pulse.beat()
    assert inbox.empty()


def test_what_is_not_read_yet_is_no_silence() -> None:
    """A reader that is behind is not told of silences that it never saw."""
    inbox: SimpleQueue[object] = SimpleQueue()
    pulse = Pulse(inbox)
    inbox.put("a token")
    for _ in range(3):
        pulse.beat()
    assert inbox.get_nowait() == "a token"
    assert inbox.empty()


def test_one_clock_for_all() -> None:
    """Every inbox hears of its silence, until it is forgotten."""
    heartbeat = Heartbeat(0.02)
    inboxes: list[SimpleQueue[object]] = [SimpleQueue() for _ in range(3)]
    pulses = [heartbeat.watch(inbox) for inbox in inboxes]
    for inbox in inboxes:
        assert inbox.get(timeout=WAIT_S) is SILENCE
    heartbeat.forget(pulses[0])
    while not inboxes[0].empty():
        inboxes[0].get_nowait()
    for _ in range(2):
        assert inboxes[1].get(timeout=WAIT_S) is SILENCE
    assert inboxes[0].empty()
    heartbeat.close()


@pytest.mark.parametrize("times", [1, 2])
def test_forgetting_twice_is_once(times: int) -> None:
    heartbeat = Heartbeat(WAIT_S)
    pulse = heartbeat.watch(SimpleQueue())
    for _ in range(times):
        heartbeat.forget(pulse)
    heartbeat.close()
