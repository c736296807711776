"""A model's sight, if it has any: the eye beside its file, and how its chats are read with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tricorn.chat.template import ChatTemplate
from tricorn.engines.chat_templates import TOOL_USE
from tricorn.engines.llamacpp import mmproj
from tricorn.engines.llamacpp.binding import Model
from tricorn.engines.llamacpp.chats import Chats
from tricorn.engines.llamacpp.eye import Eye
from tricorn.engines.llamacpp.options import LlamaOptions


@dataclass(frozen=True)
class Vision:
    chats: Chats | None = None
    """None: it takes no images."""
    says: str | None = None
    """For people: its mmproj file, and why that is not used where it isn't."""
    eye: Eye | None = None

    def close(self) -> None:
        """Before the model is closed."""
        if self.eye is not None:
            self.eye.close()


def open_vision(path: Path, model: Model, chosen: LlamaOptions, own_template: str | None) -> Vision:
    """own_template: in place of the model's.

    ModelLoadFailed where there is an mmproj file that does not fit, or a choice of them.
    """
    file = mmproj.find(path, chosen.mmproj)
    if file is None:
        return Vision()
    eye = Eye(file, model, chosen, longest=min(chosen.n_batch, chosen.n_ubatch))
    if eye.unfit is not None:
        return Vision(None, f"{file.name}: not used, {eye.unfit}", eye)
    bos, eos = model.special_token("bos"), model.special_token("eos")
    tokenize = partial(model.tokenize, add_special=False, parse_special=True)
    chats = Chats(
        ChatTemplate(
            own_template or model.template(),
            bos_token=bos,
            eos_token=eos,
            for_tools=None if own_template else model.template(TOOL_USE),
        ),
        eye,
        tokenize,
        tokenize(bos) if model.adds_bos() and bos else [],
    )
    return Vision(chats, file.name, eye)
