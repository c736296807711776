"""The engines: importable in their environments, and a token from each; drivers against wheels."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from tricorn.commands import engines as engine_commands
from tricorn.doctor.check import Check
from tricorn.doctor.network import running_manager
from tricorn.hardware.facts import Facts
from tricorn.installing import environment_state, installed_packages, installer
from tricorn.installing.engine_installs import ENGINES
from tricorn.place import Place

if TYPE_CHECKING:
    from tricorn.engines.spec import ModelSpec
    from tricorn.settings.config import Settings

TRIAL_CONTEXT = 256
TRIAL_TIMEOUT_S = 300.0
"""The first start of an engine may compile kernels."""


def environments(place: Place, facts: Facts) -> Iterator[Check]:
    """Each engine's environment, without running anything of it."""
    here = installer.machine(facts, device=place.device)
    needed = needed_engines(place, facts)
    for name, engine in ENGINES.items():
        wanted = engine_commands.engine_environment(name, place, here)
        found = engine_commands.state(wanted)
        install = f"{place.command} engines install {name}"
        reason = installer.why_impossible(name, here)
        if found == "closed":
            yield Check(engine.title, "fail", *environment_state.closed(wanted))
        elif found == "half":
            yield Check(
                engine.title, "warn", "its install was interrupted or is under way", install
            )
        elif found == "outdated":
            what = "it was installed from other lists than today's; the next start renews it"
            yield Check(engine.title, "warn", what, install)
        elif installer.engine_python(name, place.engines_dir) is not None:
            version = installed_packages.version(wanted.path, engine.packages)
            where = f"in {wanted.path}" if version else "beside Tricorn"
            made = " (made by hand)" if version and found == "own" else ""
            yield Check(engine.title, "ok", f"{version or 'installed'} {where}{made}")
        elif reason is not None:
            yield Check(engine.title, "ok", f"not for this machine: {reason}")
        elif name in needed:
            yield Check(engine.title, "warn", f"not installed; needed for {needed[name]}", install)
        else:
            yield Check(engine.title, "ok", "not installed, and nothing here needs it")


def needed_engines(place: Place, facts: Facts) -> dict[str, str]:
    """Engines that models here are to be served by → what for."""
    if place.settings is None:
        return {"llamacpp": "the first start"}
    from tricorn.doctor.models import scan

    specs = scan(place.settings, facts).values()
    return {spec.engine: spec.id for spec in specs if not spec.fault} or {
        "llamacpp": "the model that the first start fetches"
    }


def trials(place: Place, facts: Facts) -> Iterator[Check]:
    """Import each engine that is installed, and have it generate a token where it has a model."""
    for name in ENGINES:
        python = installer.engine_python(name, place.engines_dir)
        if python is not None:
            yield trial(name, python, place, facts)


def trial(name: str, python: Path, place: Place, facts: Facts) -> Check:
    """The finding for one installed engine."""
    title = f"{ENGINES[name].title} runs"
    again = f"{place.command} engines install {name} --reinstall"
    fault = engine_commands.import_fault(name, python)
    if fault is not None:
        return Check(title, "fail", f"cannot be imported: {fault}", again)
    if place.settings is None:
        fix = f"{place.start} --mode dev"
        return Check(title, "warn", "importable; tried once Tricorn itself is installed", fix)
    spec = smallest_model(name, place.settings, facts)
    if spec is None:
        formats = {"gguf": "a .gguf file", "hf": "a Hugging Face folder", "mlx": "an MLX folder"}
        wanted = " or ".join(formats[kind] for kind in ENGINES[name].formats)
        what = "importable; no token was generated, as there is no model for it"
        return Check(title, "warn", what, f"put {wanted} into {place.models_dir}")
    from tricorn.doctor.generation import one_token
    from tricorn.errors import TricornError

    try:
        done = asyncio.run(one_token(spec, python, TRIAL_TIMEOUT_S))
    except TricornError as error:
        what = f"{spec.id} gave no token: {error.message}"
        if running_manager(place) is not None:
            fix = "stop Tricorn, which may hold the memory that is missing, and look again"
            return Check(title, "warn", what, fix)
        return Check(title, "fail", what, again)
    what = f"{spec.id} gave {done.answer} {done.seconds:.1f} s after the start"
    return Check(title, "ok", what)


def smallest_model(name: str, settings: Settings, facts: Facts) -> ModelSpec | None:
    """The smallest whole model that the engine reads, with options for a short trial."""
    import msgspec

    from tricorn.doctor.models import scan
    from tricorn.engines.spec import EngineOptions

    formats = ENGINES[name].formats
    fitting = [s for s in scan(settings, facts).values() if not s.fault and s.format in formats]
    if not fitting:
        return None
    spec = min(fitting, key=lambda spec: (formats.index(spec.format), spec.size_bytes))
    options = EngineOptions(
        context_length=TRIAL_CONTEXT,
        max_num_seqs=1,
        # vLLM compiles for minutes otherwise.
        engine_args={"enforce_eager": True} if name == "vllm" else {},
    )
    reason = "the doctor's trial"
    return msgspec.structs.replace(spec, engine=name, engine_reason=reason, options=options)
