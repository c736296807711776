"""Which files of a repository are the model: one quantisation of a GGUF repository, or what an
engine reads of a folder in Hugging Face's or MLX's layout. Pure.

A repository that has both gives its folder, unless a quantisation or a .gguf file is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal

from tricorn.engines.llamacpp import mmproj
from tricorn.errors import InvalidRequest, ModelNotFound
from tricorn.hub import quants
from tricorn.hub.names import Wanted
from tricorn.manager.catalog import adapter_folder, hf_folder
from tricorn.manager.catalog.gguf_names import model_name, parts, split_of

GGUF = ".gguf"


@dataclass(frozen=True)
class RepoFile:
    """A file in a repository, as the hub tells it."""

    name: str
    """Its path in the repository."""
    size: int | None = None
    sha256: str | None = None
    git_id: str | None = None
    """Of files that are in git itself: SHA-1 over git's header and the content."""


@dataclass(frozen=True)
class Chosen:
    file: RepoFile
    target: str
    """Where it is put, below the repository's folder."""


@dataclass(frozen=True)
class Selection:
    kind: Literal["gguf", "folder"]
    files: tuple[Chosen, ...]
    """In the order in which they are put into their places; a folder's config.json is the last one,
    as it makes a model of the folder."""
    models: tuple[str, ...]
    """The ids by which the catalog will list what is chosen."""


def select(wanted: Wanted, files: Sequence[RepoFile]) -> Selection:
    """The files to pull. ModelNotFound where the repository has not what was asked for, or nothing
    that an engine reads; InvalidRequest where a quantisation is that of several models."""
    usable = [file for file in files if is_safe(file.name)]
    ggufs = [file for file in usable if file.name.lower().endswith(GGUF)]
    models = [file for file in ggufs if mmproj.MARK not in file.name.lower()]
    folder = [] if wanted.which else _folder_files(usable)
    if folder:
        chosen = tuple(Chosen(file, file.name) for file in folder)
        return Selection("folder", chosen, (wanted.repo,))
    if models:
        return _gguf(wanted, models, ggufs)
    if wanted.which:
        raise ModelNotFound(
            f"{wanted.repo} has no GGUF files to choose {wanted.which} from: pull {wanted.repo} as "
            "it is"
        )
    raise ModelNotFound(_why_nothing(wanted.repo, usable))


def is_safe(name: str) -> bool:
    """Whether a file may be put where its name says: inside the folder, and not hidden."""
    pieces = name.split("/")
    return name.isprintable() and not any(
        piece.startswith(".") or not piece or "\\" in piece or ":" in piece for piece in pieces
    )


# --- GGUF ---------------------------------------------------------------------------------------


def _gguf(wanted: Wanted, models: list[RepoFile], ggufs: list[RepoFile]) -> Selection:
    by_name = {file.name: file for file in models}
    names = _asked_file(wanted, by_name) or _asked_quant(wanted, by_name)
    missing = [name for name in names if name not in by_name]
    if missing:
        raise ModelNotFound(f"{wanted.repo} lacks parts of this model: {', '.join(missing)}")
    files = [by_name[name] for name in names]
    eye = _eye(names[0], ggufs)
    if eye is not None:
        files.insert(0, eye)
    # All in one folder: that is where llama.cpp looks for parts, and for the mmproj file.
    chosen = tuple(Chosen(file, PurePosixPath(file.name).name) for file in files)
    stem = model_name(Path(chosen[-1].target))
    return Selection("gguf", chosen, (f"{wanted.repo}/{stem}",))


def _asked_file(wanted: Wanted, by_name: dict[str, RepoFile]) -> list[str]:
    """The file that was asked for by name, with all its parts; empty where none was."""
    if wanted.which is None or not wanted.which.lower().endswith(GGUF):
        return []
    same = [name for name in by_name if name.lower() == wanted.which.lower()]
    same = same or [
        name for name in by_name if name.lower().rpartition("/")[2] == wanted.which.lower()
    ]
    if not same:
        raise ModelNotFound(
            f"{wanted.repo} has no file {wanted.which}; it has {_some(sorted(by_name))}"
        )
    if len(same) > 1:
        raise _ambiguous(wanted, same)
    return _all_parts(same[0])


def _asked_quant(wanted: Wanted, by_name: dict[str, RepoFile]) -> list[str]:
    groups: dict[str, list[list[str]]] = {}
    for name in sorted(by_name):
        split = split_of(PurePosixPath(name).stem)
        if split is None or split[1] == 1 or _all_parts(name)[0] not in by_name:
            label = quants.label(name) or PurePosixPath(name).stem
            group = _all_parts(name)
            if group not in groups.setdefault(label, []):
                groups[label].append(group)
    if wanted.which is None:
        label = quants.best(groups)
    else:
        found = quants.asked(wanted.which, groups)
        if found is None:
            raise ModelNotFound(
                f"{wanted.repo} has no {wanted.which}; it has {', '.join(sorted(groups))}"
            )
        label = found
    if len(groups[label]) > 1:
        raise _ambiguous(wanted, [group[0] for group in groups[label]])
    return groups[label][0]


def _all_parts(name: str) -> list[str]:
    return [part.as_posix() for part in parts(Path(name))]


def _eye(model: str, ggufs: list[RepoFile]) -> RepoFile | None:
    """The mmproj file that the engine would take for this model; of several, one precision."""
    by_name = {PurePosixPath(file.name).name: file for file in ggufs}
    found = mmproj.choose(PurePosixPath(model).name, by_name)
    if not found:
        return None
    labels = {quants.label(name) or name: name for name in found}
    return by_name[labels[quants.best(labels, quants.EYE_ORDER)]]


def _ambiguous(wanted: Wanted, names: list[str]) -> InvalidRequest:
    which = f"{wanted.repo}:{wanted.which}" if wanted.which else wanted.repo
    return InvalidRequest(
        f"{which} could be {_some(names)}: name the file, as {wanted.repo}:{names[0]}"
    )


# --- folders ------------------------------------------------------------------------------------

_WEIGHTS = re.compile(r"[^/]+\.safetensors")
_SMALL = re.compile(r"[^/]+\.(json|model|tiktoken|jinja|spm|py)|merges\.txt|vocab\.txt")
_INSIDE = re.compile(
    r"additional_chat_templates/[^/]+\.jinja|\d+_[A-Za-z]+/(config\.json|model\.safetensors)"
)
"""Further chat templates, and the layers that sentence-transformers adds to a model."""
_OTHERS = re.compile(
    r".*\.(bin|h5|msgpack|pt|pth|onnx)\.index\.json|(trainer_state|.*_results)\.json"
)
"""Indexes of weights that are left out, and what training left behind."""
_VARIANT = re.compile(r"\.(fp16|bf16|fp32|non_ema)[.-]")


def _folder_files(files: list[RepoFile]) -> list[RepoFile]:
    """What an engine reads of a model's or an adapter's folder; empty where it is neither."""
    names = {file.name for file in files}
    if not names & {hf_folder.CONFIG, adapter_folder.CONFIG}:
        return []
    weights = _weights([file for file in files if _WEIGHTS.fullmatch(file.name)])
    if not weights:
        return []
    duplicates = any(not file.name.startswith("consolidated") for file in weights)
    small = [
        file
        for file in files
        if (_SMALL.fullmatch(file.name) or _INSIDE.fullmatch(file.name))
        and not _OTHERS.fullmatch(file.name)
        and not (duplicates and file.name.startswith("consolidated"))
    ]
    return [*weights, *sorted(small, key=lambda file: (file.name == hf_folder.CONFIG, file.name))]


def _weights(found: list[RepoFile]) -> list[RepoFile]:
    """Without what is there twice: Mistral's own layout, and the same in another precision."""
    usual = [file for file in found if not file.name.startswith("consolidated")] or found
    plain = [file for file in usual if not _VARIANT.search(file.name)] or usual
    return sorted(plain, key=lambda file: file.name)


def _why_nothing(repo: str, files: list[RepoFile]) -> str:
    names = [file.name for file in files]
    if any(hf_folder.PICKLED.match(name) or name.endswith((".pth", ".pt")) for name in names):
        return (
            f"{repo} has its weights in PyTorch's own format only; Tricorn reads *.safetensors and "
            "*.gguf: look for a repository of the same model that has them"
        )
    if any(name.endswith(".safetensors") for name in names):
        return f"{repo} has *.safetensors but no config.json beside them: no engine here reads it"
    return f"{repo} has no model in it: neither *.gguf files nor config.json with *.safetensors"


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
