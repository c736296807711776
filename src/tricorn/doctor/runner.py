"""Which checks there are, and running them one after the other."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence

from tricorn.doctor import drivers, engines, folders, machine, models, network, report
from tricorn.doctor.check import Check, Probe
from tricorn.hardware import facts as hardware
from tricorn.hardware.facts import Facts
from tricorn.place import Place

AT_START: tuple[Probe, ...] = (
    machine.python,
    machine.memory,
    machine.disk,
    machine.limits,
    drivers.drivers,
    network.proxy,
    network.timeouts,
    folders.folders,
    models.models,
)
"""Quick ones that a start can act on. Not what the start looks at itself: the port, the engine."""

QUICK: tuple[Probe, ...] = (
    machine.python,
    machine.compiler,
    machine.installation,
    machine.memory,
    machine.disk,
    machine.limits,
    drivers.drivers,
    network.port,
    network.certificate,
    network.proxy,
    network.timeouts,
    folders.folders,
    models.models,
    engines.environments,
)
FULL: tuple[Probe, ...] = (*QUICK, engines.trials)
"""With a token from every engine: seconds to minutes."""


def look(place: Place) -> Facts:
    """The facts of the machine, with the engines of this place."""
    return hardware.detect(engines_dir=place.engines_dir, folder=place.models_dir)


def findings(probes: Sequence[Probe], place: Place, facts: Facts) -> Iterator[Check]:
    """What each probe finds, as it is found."""
    for probe in probes:
        try:
            yield from probe(place, facts)
        except Exception as error:  # noqa: BLE001 - a check that breaks must not hide the others
            what = f"this check itself failed: {type(error).__name__}: {error}"
            yield Check(probe.__name__, "warn", what, "please report it as a bug, with this line")


def run(place: Place, *, quick: bool, json: bool, before: Sequence[Check] = ()) -> int:
    """Look, print, and give the exit code: 0 where nothing fails, else 1.

    before: what the caller has found already.
    """
    try:
        checks = _print_json(place, quick, before) if json else _print_table(place, quick, before)
    except BrokenPipeError:  # `doctor | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0 if report.is_well(checks) else 1


def _print_json(place: Place, quick: bool, before: Sequence[Check]) -> list[Check]:
    checks = [*before, *_all(place, quick)]
    print(report.as_json(checks))
    return checks


def _print_table(place: Place, quick: bool, before: Sequence[Check]) -> list[Check]:
    table = report.Table(sys.stdout)
    checks = []
    table.working("  looking ...")
    for check in itertools.chain(before, _all(place, quick)):
        checks.append(check)
        table.working("")
        table.row(check)
        table.working("  looking ..." if quick else "  looking, and generating a token ...")
    table.working("")
    table.end(checks)
    return checks


def _all(place: Place, quick: bool) -> Iterator[Check]:
    facts = look(place)
    yield Check("machine", "ok", facts.summary())
    yield from findings(QUICK if quick else FULL, place, facts)


def tell_at_start(place: Place, say: Callable[[str], None]) -> None:
    """For `--mode dev`: say what is not as it should be, and nothing where all is well."""
    for check in findings(AT_START, place, look(place)):
        if check.state != "ok":
            say(f"{report.PLAIN_SYMBOLS[check.state]} {check.name}: {check.what}")
            say(f"  to mend it: {check.fix}")
