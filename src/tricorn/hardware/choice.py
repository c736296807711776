"""Which engine serves a model on this machine, and why: a pure function of the facts.

format → options, best first → those that the preferences allow → those that fit → the first,
an installed one before others on the same device
"""

from __future__ import annotations

from dataclasses import dataclass

from tricorn.errors import StartupError
from tricorn.hardware.facts import Facts
from tricorn.hardware.fit import Misfit, ModelTraits, Option, build_of, misfit
from tricorn.hardware.reasons import TITLES, describe, reasons_for

__all__ = ["Choice", "ModelTraits", "Option", "Preferences", "choose_engine", "require_possible"]

CUDA, METAL, CPU = "cuda", "metal", "cpu"
DEVICES = (CUDA, METAL, CPU)

OPTIONS: dict[str, tuple[Option, ...]] = {
    "gguf": (Option("llamacpp", CUDA), Option("llamacpp", METAL), Option("llamacpp", CPU)),
    "hf": (
        Option("vllm", CUDA),
        Option("mlx", METAL),
        Option("vllm", CPU),
        Option("mlx", CPU),
    ),
    "mlx": (Option("mlx", METAL), Option("mlx", CPU)),
    "fake": (Option("fake", CPU),),
}
"""Model format → the ways to serve it, best first."""

ENGINES = tuple(dict.fromkeys(option.engine for ways in OPTIONS.values() for option in ways))


@dataclass(frozen=True)
class Preferences:
    """INFERENCE_ENGINE and DEVICE_TYPE."""

    engine: str = "auto"
    device: str = "auto"


@dataclass(frozen=True)
class Choice:
    engine: str
    """Empty where there is none: the reasons say why."""
    device: str
    reasons: tuple[str, ...] = ()
    """Short sentences for people."""
    alternatives: tuple[Option, ...] = ()
    """Other ways that this machine could serve the same model."""

    @property
    def reason(self) -> str:
        """All reasons in one line."""
        return " ".join(self.reasons)


def choose_engine(
    facts: Facts, model: ModelTraits, preferences: Preferences = Preferences()
) -> Choice:
    """The engine and the device for a model.

    An engine that is not installed is chosen too, and the reasons say so. StartupError says why a
    preference cannot be met, or why nothing here can serve the model.
    """
    allowed = _allowed(model, preferences)
    judged = [(option, misfit(facts, model, option)) for option in allowed]
    fitting = [option for option, against in judged if against is None]
    if not fitting:
        raise StartupError(_nothing_fits(model, preferences, judged))
    same_device = [option for option in fitting if option.device == fitting[0].device]
    ready = [option for option in same_device if build_of(facts, option.engine, option.device)]
    chosen = (ready or same_device)[0]
    better = None if chosen == same_device[0] else same_device[0].engine
    passed_over = [against for _, against in judged[: allowed.index(chosen)] if against is not None]
    return Choice(
        engine=chosen.engine,
        device=chosen.device,
        reasons=reasons_for(
            facts,
            model,
            chosen,
            asked=preferences.engine != "auto",
            device_asked=preferences.device != "auto",
            passed_over=passed_over,
            not_installed=better,
        ),
        alternatives=tuple(option for option in fitting if option != chosen),
    )


def require_possible(facts: Facts, preferences: Preferences) -> None:
    """StartupError if the preferences cannot be met on this machine, whatever the model."""
    refusal: StartupError | None = None
    for model_format, options in OPTIONS.items():
        engines = {option.engine for option in options}
        if preferences.engine in ENGINES and preferences.engine not in engines:
            continue
        try:
            if model_format != "fake" or preferences.engine == "fake":
                choose_engine(facts, ModelTraits(model_format), preferences)
                return
        except StartupError as error:
            refusal = refusal or error
    if refusal is not None:
        raise refusal


def _allowed(model: ModelTraits, preferences: Preferences) -> list[Option]:
    """The options of the model's format that the preferences leave, best first."""
    engine, device = preferences.engine, preferences.device
    if engine != "auto" and engine not in ENGINES:
        real = ", ".join(name for name in ENGINES if name != "fake")
        raise StartupError(f"there is no engine named {engine!r}; this version has {real}")
    if device != "auto" and device not in DEVICES:
        raise StartupError(f"there is no device type {device!r}; there are {', '.join(DEVICES)}")
    options = OPTIONS.get(model.format)
    if options is None:
        raise StartupError(
            f"{describe(model)} cannot be served: no engine of this version reads it"
        )
    by_engine = [option for option in options if engine in ("auto", option.engine)]
    if not by_engine:
        able = " or ".join(dict.fromkeys(option.engine for option in options))
        raise StartupError(f"the engine {engine} cannot serve {describe(model)}; {able} can")
    if model.format == "fake":
        return by_engine
    by_device = [option for option in by_engine if device in ("auto", option.device)]
    if not by_device:
        able = " or ".join(dict.fromkeys(option.device for option in by_engine))
        who = "no engine serves" if engine == "auto" else f"{TITLES[engine]} does not serve"
        raise StartupError(
            f"DEVICE_TYPE={device} cannot be used: {who} {describe(model)} on it, only on {able}"
        )
    return by_device


def _nothing_fits(
    model: ModelTraits, preferences: Preferences, judged: list[tuple[Option, Misfit | None]]
) -> str:
    by = "" if preferences.engine == "auto" else f" by {TITLES[preferences.engine]}"
    on = "" if preferences.device == "auto" else f" on {preferences.device}"
    whys = dict.fromkeys(against.why for _, against in judged if against is not None)
    advice = ""
    if model.format in ("hf", "mlx") and not by and not on:
        advice = ". A GGUF file of the same model runs on llama.cpp"
    return f"{describe(model)} cannot be served{by}{on} here: {'; '.join(whys)}{advice}"
