"""Fields of a message's content parts that nobody knows: named, not dropped in silence."""

from __future__ import annotations

_HINTS = {"type", "prompt_cache_breakpoint", "cache_control"}
"""Besides the type: marks for other servers' caches. The prefix cache needs none."""
_IN_IMAGES = {"url", "detail"}


def unknown_of(content: object) -> list[str]:
    """Their paths, as `content[0].name`, in a content that was found to be right."""
    found: list[str] = []
    for position, part in enumerate(content if isinstance(content, list) else ()):
        where = f"content[{position}]"
        kind = part["type"]  # also the name of the field that has what the part is about
        found += _others(part, {kind, *_HINTS}, where)
        if kind == "image_url":
            found += _others(part[kind], _IN_IMAGES, f"{where}.{kind}")
    return found


def _others(fields: dict[str, object], known: set[str], where: str) -> list[str]:
    names = (name for name, value in fields.items() if value is not None)
    return [f"{where}.{name}" for name in names if name not in known]
