"""Tests of `tricorn.manager.figures.process_figures` and of the gauges made of it."""

from __future__ import annotations

import os
import subprocess
import sys

from tricorn.manager.figures.machine_gauges import of_machine
from tricorn.manager.figures.process_figures import FRESH_S, Figures, Gpu, ProcessFigures
from tricorn.metrics.exposition import text


def test_this_process_and_its_children() -> None:
    """Read again only when it has become old."""
    now = [0.0]
    figures = ProcessFigures(clock=lambda: now[0])
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        first = figures.read()
        assert first.memory[os.getpid()] > 10**6
        assert first.parents[child.pid] == os.getpid()
        child.communicate(b"\n")
    assert figures.read() is first
    now[0] += FRESH_S + 1
    assert child.pid not in figures.read().memory


def test_gauges_by_part() -> None:
    """An engine's children are its own; what is left over is the gateway's."""
    own = os.getpid()
    memory = {own: 1, 10: 2, 11: 4, 20: 8, 21: 16}
    parents = {10: own, 11: 10, 20: own, 21: 20}
    figures = Figures(memory, parents, (Gpu("H100", 80, 30), Gpu(None, None, None)))
    lines = text(of_machine(figures, {10: "m"})).splitlines()
    name = "tricorn_process_resident_memory_bytes"
    assert f'{name}{{process="manager",model_name=""}} 1' in lines
    assert f'{name}{{process="engine",model_name="m"}} 6' in lines
    assert f'{name}{{process="gateway",model_name=""}} 24' in lines
    assert 'tricorn_gpu_memory_used_bytes{gpu="0",name="H100"} 30' in lines
    assert not any('gpu="1"' in line for line in lines)
