"""Tests of `tricorn.manager.memory.budget`: machines, small and large."""

from __future__ import annotations

import pytest

from tricorn.hardware.apple import recommended_working_set
from tricorn.hardware.facts import Facts, NvidiaGpu
from tricorn.manager.memory.budget import budget, gpus, visible_gpus
from tricorn.settings.quantities import MemoryAmount

MIB, GIB = 1 << 20, 1 << 30


def card(size: float, **more: object) -> NvidiaGpu:
    return NvidiaGpu("card", memory_total=round(size * GIB), **more)  # type: ignore[arg-type]


def mac(size: int) -> Facts:
    total = size * GIB
    return Facts(memory_total=total, apple_working_set=recommended_working_set(total))


@pytest.mark.parametrize(
    ("total", "left"), [(2, 1.0), (1, 0.5), (8, 7.0), (24, 21.6), (512, 460.8)]
)
def test_main_memory(total: int, left: float) -> None:
    """A reserve is left to everything else: 1 GiB or a tenth, and never more than half."""
    found = budget(Facts(memory_total=total * GIB))
    assert found == {"main": pytest.approx(left * GIB, abs=1)}


def test_a_container() -> None:
    """Its limit is all there is."""
    assert budget(Facts(memory_total=64 * GIB, memory_limit=2 * GIB)) == {"main": GIB}


def test_an_unknown_machine() -> None:
    """What is not known is not bounded, but by the user's word."""
    assert budget(Facts()) == {}
    assert budget(Facts(), max_cpu=0.5) == {}
    assert budget(Facts(), max_cpu=3 * GIB) == {"main": 3 * GIB}
    assert budget(Facts(nvidia_gpus=(NvidiaGpu("old"),))) == {}


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [(0.5, 12 * GIB), (1.0, 24 * GIB), (10 * GIB, 10 * GIB), (100 * GIB, 24 * GIB)],
)
def test_max_cpu_memory(wanted: MemoryAmount, expected: int) -> None:
    """A share or a size, without a reserve; never more than there is."""
    assert budget(Facts(memory_total=24 * GIB), max_cpu=wanted) == {"main": expected}


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ((24.0,), [24 * GIB - 256 * MIB]),
        ((2.0,), [2 * GIB - 2 * GIB // 20]),
        ((24.0, 8.0), [24 * GIB - 256 * MIB, 8 * GIB - 256 * MIB]),
        ((80.0,) * 8, [80 * GIB - 256 * MIB] * 8),
    ],
)
def test_gpus(cards: tuple[float, ...], expected: list[int]) -> None:
    """Each is a place of its own, with a small reserve."""
    machine = Facts(memory_total=64 * GIB, nvidia_gpus=tuple(card(size) for size in cards))
    found = budget(machine)
    assert [found[f"cuda:{number}"] for number in range(len(cards))] == expected
    assert len(found) == 1 + len(cards)


@pytest.mark.parametrize("size", [4, 6, 8, 11, 16, 24, 80, 141])
def test_vllm_fits_unasked(size: int) -> None:
    """It takes 92 % of a card unless it is told otherwise."""
    assert budget(Facts(nvidia_gpus=(card(size),)))["cuda:0"] >= 0.92 * size * GIB


def test_max_gpu_memory() -> None:
    """Of each."""
    machine = Facts(nvidia_gpus=(card(24), card(8)))
    assert budget(machine, max_gpu=0.5) == {"cuda:0": 12 * GIB, "cuda:1": 4 * GIB}
    assert budget(machine, max_gpu=10 * GIB) == {"cuda:0": 10 * GIB, "cuda:1": 8 * GIB}


@pytest.mark.parametrize(
    ("visible", "numbers"),
    [(None, [0, 1, 2]), ("1", [1]), ("2,0", [2, 0]), ("", []), ("-1", []), ("GPU-5a", [0, 1, 2])],
)
def test_hidden_gpus(visible: str | None, numbers: list[int]) -> None:
    """Those that CUDA_VISIBLE_DEVICES leaves out are none of ours."""
    cards = (card(1), card(2), card(3))
    machine = Facts(nvidia_gpus=cards, cuda_visible_devices=visible)
    found = visible_gpus(machine)
    assert len(budget(machine)) == 3, "a model may be bound to any of them"
    assert found == {number: (number + 1) * GIB for number in numbers}


def test_a_divided_gpu() -> None:
    """A program sees one instance."""
    divided = card(80, mig=True, mig_instances=(10 * GIB, 40 * GIB, None))
    assert gpus(Facts(nvidia_gpus=(divided,))) == {0: 40 * GIB}


@pytest.mark.parametrize(
    ("size", "main", "metal"), [(8, 7.0, 8 * 2 / 3), (16, 14.4, 32 / 3), (192, 172.8, 144.0)]
)
def test_apple(size: int, main: float, metal: float) -> None:
    """One memory, of which the GPU may use a part."""
    found = budget(mac(size))
    assert found == {
        "main": pytest.approx(main * GIB, abs=1),
        "metal": pytest.approx(metal * GIB, abs=1),
    }
    assert budget(mac(size), max_gpu=4 * GIB)["metal"] == 4 * GIB
