"""Binding a worker to cores; in processes of their own, which end with it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tricorn.engines.spec import Binding
from tricorn.worker import affinity

pytestmark = pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="needs Linux's affinity"
)


def run(code: str) -> str:
    """What a fresh process prints."""
    start = "import os, threading, time\nfrom tricorn.worker import affinity\n"
    done = subprocess.run(
        [sys.executable, "-c", start + code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return done.stdout.strip()


def test_every_thread_is_bound() -> None:
    """Those that run already, and those that come."""
    core = min(os.sched_getaffinity(0))
    code = f"""
end = threading.Event()
older = threading.Thread(target=end.wait)
older.start()
affinity.bind(({core},))
seen = [sorted(os.sched_getaffinity(older.native_id))]
younger = threading.Thread(target=lambda: seen.append(sorted(os.sched_getaffinity(0))))
younger.start()
younger.join()
end.set()
print(seen)
"""
    assert run(code) == f"[[{core}], [{core}]]"


def test_default_threads_are_counted_from_them() -> None:
    """As engines ask for the physical cores."""
    core = min(os.sched_getaffinity(0))
    code = (
        f"affinity.bind(({core},))\n"
        "from tricorn.hardware.facts import cpu_and_memory\n"
        "print(cpu_and_memory().physical_cores)"
    )
    assert run(code) == "1"


def test_cores_that_it_may_not_use() -> None:
    """The load fails with their numbers."""
    code = """
from tricorn.errors import ModelLoadFailed
try:
    affinity.bind((60000,))
except ModelLoadFailed as error:
    print(error.message)
"""
    assert run(code).startswith("its engine cannot run on the cores 60000 that the settings name: ")


def test_nothing_to_bind() -> None:
    """Then it runs wherever the system lets it."""
    before = os.sched_getaffinity(0)
    affinity.bind(None)
    assert os.sched_getaffinity(0) == before


def test_what_people_see_of_it() -> None:
    """What is set, and nothing else."""
    assert affinity.details(Binding(), None) == {}
    bound = Binding(gpus=(1,), numa_node=0)
    assert affinity.details(bound, (0, 1)) == {"cpus": "0,1", "gpus": "1", "numa_node": 0}
    assert affinity.details(Binding(gpus=()), None) == {"gpus": "none"}
