"""Whether the folders that Tricorn writes to can be written."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tricorn.doctor.check import Check
from tricorn.hardware.facts import Facts
from tricorn.installing.prerequisites import existing
from tricorn.place import Place


def folders(place: Place, facts: Facts) -> Iterator[Check]:
    """models, data, logs and the engines; a missing one is made by the start, where it may be."""
    faults = []
    named = {
        "models": place.models_dir,
        "data": place.data_dir,
        "logs": place.log_dir,
        "engines": place.engines_dir,
    }
    for name, folder in named.items():
        fault = write_fault(folder)
        if fault is None:
            continue
        faults.append(name)
        there = shlex.quote(str(existing(folder)))
        what = f"{folder} ({name}) cannot be written: {fault}"
        fix = f'sudo chown -R "$(id -un)" {there} && chmod -R u+rwX {there}'
        if name == "models" and any(folder.rglob("*.gguf")):
            # Nothing has to be fetched into it.
            yield Check("folders", "warn", what, fix)
        else:
            yield Check("folders", "fail", what, fix)
    if not faults:
        yield Check("folders", "ok", f"{', '.join(named)} can be written")
    temporary = write_fault(Path(tempfile.gettempdir()))
    if temporary is not None:
        what = f"the folder for temporary files cannot be written: {temporary}"
        yield Check("folders", "fail", what, "export TMPDIR=/path/of/a/folder/of/yours")


def write_fault(folder: Path) -> str | None:
    """Why no file can be made in `folder`, or in what it would be made in; None where one can.

    Tried rather than asked for: a mode says nothing of read-only disks, quotas and ACLs.
    """
    try:
        with tempfile.TemporaryFile(prefix=".tricorn-doctor-", dir=existing(folder)):
            return None
    except OSError as error:
        return error.strerror or str(error)
