"""A model's entry in the catalog, of its files and of what the settings say of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from tricorn.engines.spec import EngineOptions, ModelSpec
from tricorn.errors import StartupError
from tricorn.hardware.choice import Choice, ModelTraits, Preferences
from tricorn.hardware.facts import Facts
from tricorn.manager.catalog import vision_half
from tricorn.manager.catalog.model_files import read_template
from tricorn.manager.catalog.sources import Source
from tricorn.manager.memory import estimate as memory_estimate
from tricorn.manager.replicas import process_binding
from tricorn.model_facts.estimate import Estimate
from tricorn.model_facts.facts import FileFacts
from tricorn.settings.config import ModelSettings, Settings

EngineChooser = Callable[[ModelTraits, Preferences], Choice]
"""The engine for a model; StartupError where there is none."""


class SpecMaker:
    """machine: what estimates of memory go by."""

    def __init__(self, settings: Settings, choose: EngineChooser, machine: Facts) -> None:
        self._settings = settings
        self._choose = choose
        self._machine = machine

    def spec(self, model_id: str, source: Source, entry: ModelSettings) -> ModelSpec:
        choice, impossible = self._engine(source, entry)
        options, unread = self._options(entry, choice.engine)
        binding = entry.binding()
        faults = (
            source.fault,
            _other_format(source, entry),
            impossible,
            unread,
            process_binding.fault(binding, self._machine, engine=choice.engine),
        )
        facts = source.facts
        if facts is not None and source.format == "gguf":
            mmproj = entry.engine_args.get("mmproj")
            facts = vision_half.with_eye(facts, Path(source.path), mmproj)
        return ModelSpec(
            id=model_id,
            path=source.path,
            format=source.format,
            engine=choice.engine,
            device=choice.device,
            engine_reason=choice.reason,
            size_bytes=source.size,
            created=source.created,
            options=options,
            fault=next((fault for fault in faults if fault), None),
            facts=facts,
            estimate=self._estimate(facts, options, choice),
            aliases=tuple(entry.aliases),
            serving=entry.serving(
                ttl_s=self._settings.ttl, shrink_context=self._settings.shrink_context
            ),
            binding=binding,
            warnings=_in_vain(options),
        )

    def _engine(self, source: Source, entry: ModelSettings) -> tuple[Choice, str | None]:
        """(the engine, why there is none)."""
        traits = ModelTraits(source.format, source.quantisation, source.size or None)
        preferences = Preferences(
            engine=entry.engine or self._settings.inference_engine,
            device=self._settings.device_type,
        )
        try:
            return self._choose(traits, preferences), None
        except StartupError as error:
            return Choice("", "", (error.message,)), error.message

    def _options(self, entry: ModelSettings, engine: str) -> tuple[EngineOptions, str | None]:
        """(the options, why the chat template cannot be read)."""
        options = entry.options(self._settings.engine_options(engine))
        if entry.chat_template is None:
            return options, None
        template, unread = read_template(entry.chat_template)
        return msgspec.structs.replace(options, chat_template=template), unread

    def _estimate(
        self, facts: FileFacts | None, options: EngineOptions, choice: Choice
    ) -> Estimate | None:
        if facts is None and choice.engine != "fake":
            return None
        memory = memory_estimate.memory_of(self._machine, choice.engine, choice.device)
        return memory_estimate.estimate(
            facts or FileFacts(), options, choice.engine, choice.device, memory
        )


def _other_format(source: Source, entry: ModelSettings) -> str | None:
    if entry.format in (None, source.format) or source.fault is not None:
        return None
    return f"the settings say format {entry.format}, and {source.path or 'it'} is {source.format}"


def _in_vain(options: EngineOptions) -> tuple[str, ...]:
    if options.cache_size is not None and not options.prefix_cache:
        return ("cache_size does not count: enable_caching is false",)
    return ()
