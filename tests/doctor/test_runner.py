"""All checks one after the other, and the exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tricorn.doctor import engines, runner
from tricorn.doctor.check import Check
from tricorn.hardware.facts import Facts
from tricorn.place import Place


def well(place: Place, facts: Facts) -> Iterator[Check]:
    yield Check("one", "ok", "fine")


def mild(place: Place, facts: Facts) -> Iterator[Check]:
    yield Check("two", "warn", "not so fine", "mend it")


def bad(place: Place, facts: Facts) -> Iterator[Check]:
    yield Check("three", "fail", "not at all", "mend it now")


def torn(place: Place, facts: Facts) -> Iterator[Check]:
    yield Check("four", "ok", "fine so far")
    raise ZeroDivisionError("by zero")


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> list[runner.Probe]:
    """What is looked at; can be added to."""
    seen: list[runner.Probe] = [well]
    monkeypatch.setattr(runner, "QUICK", seen)
    monkeypatch.setattr(runner, "FULL", [*seen, bad])
    monkeypatch.setattr(runner, "AT_START", seen)
    monkeypatch.setattr(runner, "look", lambda place: Facts(os="linux"))
    return seen


@pytest.mark.parametrize(("more", "code"), [([], 0), ([mild], 0), ([mild, bad], 1)])
def test_only_failures_fail(
    place: Place, probes: list[runner.Probe], more: list[runner.Probe], code: int
) -> None:
    """Warnings leave the exit code alone."""
    probes += more
    assert runner.run(place, quick=True, json=False) == code


def test_quick_leaves_the_trials_out(place: Place, probes: list[runner.Probe]) -> None:
    """Without it they count."""
    assert runner.run(place, quick=True, json=False) == 0
    assert runner.run(place, quick=False, json=False) == 1


def test_trials_are_in_the_full_list_only() -> None:
    """A start must not generate."""
    assert engines.trials in runner.FULL
    assert engines.trials not in (*runner.QUICK, *runner.AT_START)


def test_a_broken_check_hides_no_other(
    place: Place, probes: list[runner.Probe], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is a row itself, and no reason to fail."""
    probes[:] = [torn, mild]
    assert runner.run(place, quick=True, json=False) == 0
    out = capsys.readouterr().out
    assert "fine so far" in out
    assert "this check itself failed: ZeroDivisionError: by zero" in out
    assert "not so fine" in out


def test_json_is_all_that_is_printed(
    place: Place, probes: list[runner.Probe], capsys: pytest.CaptureFixture[str]
) -> None:
    """With what was found before."""
    before = [Check("settings", "fail", "wrong", "change them")]
    assert runner.run(place, quick=True, json=True, before=before) == 1
    found = json.loads(capsys.readouterr().out)
    assert [check["name"] for check in found["checks"]] == ["settings", "machine", "one"]


def test_a_start_tells_only_what_is_not_well(place: Place, probes: list[runner.Probe]) -> None:
    """Two lines each, and none where all is well."""
    told: list[str] = []
    runner.tell_at_start(place, told.append)
    assert told == []
    probes += [mild, bad]
    runner.tell_at_start(place, told.append)
    assert told == [
        "! two: not so fine",
        "  to mend it: mend it",
        "X three: not at all",
        "  to mend it: mend it now",
    ]


def test_all_quick_checks_run_here(place: Place) -> None:
    """For real, on whatever machine this is: none of them breaks."""
    facts = runner.look(place)
    checks = list(runner.findings(runner.QUICK, place, facts))
    assert [check.what for check in checks if "check itself failed" in check.what] == []
    assert {"python", "memory", "port", "llama.cpp", "vLLM", "MLX"} <= {c.name for c in checks}
    assert all(bool(check.fix) or check.state == "ok" for check in checks)
