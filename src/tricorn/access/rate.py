"""How far a key's limits are used up, as its clients are told it. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime

import msgspec

ISO = "%Y-%m-%dT%H:%M:%SZ"


class Rate(msgspec.Struct, frozen=True, array_like=True):
    """limit: of a minute; remaining: of it now; reset_s: until it is all there again. None: there
    is no such limit."""

    limit_requests: int | None = None
    remaining_requests: int = 0
    reset_requests_s: float = 0.0
    limit_tokens: int | None = None
    remaining_tokens: int = 0
    reset_tokens_s: float = 0.0

    def headers(self) -> dict[str, str]:
        """OpenAI's names."""
        found: dict[str, str] = {}
        for what in ("requests", "tokens"):
            if getattr(self, f"limit_{what}") is None:
                continue
            found[f"x-ratelimit-limit-{what}"] = str(getattr(self, f"limit_{what}"))
            found[f"x-ratelimit-remaining-{what}"] = str(getattr(self, f"remaining_{what}"))
            found[f"x-ratelimit-reset-{what}"] = duration(getattr(self, f"reset_{what}_s"))
        return found

    def anthropic_headers(self, now: float) -> dict[str, str]:
        """Anthropic's names; its clients are told when, rather than in how long. now: Unix
        seconds."""
        found: dict[str, str] = {}
        for what in ("requests", "tokens"):
            if getattr(self, f"limit_{what}") is None:
                continue
            at = math.ceil(now + getattr(self, f"reset_{what}_s"))
            found[f"anthropic-ratelimit-{what}-limit"] = str(getattr(self, f"limit_{what}"))
            found[f"anthropic-ratelimit-{what}-remaining"] = str(getattr(self, f"remaining_{what}"))
            found[f"anthropic-ratelimit-{what}-reset"] = f"{datetime.fromtimestamp(at, UTC):{ISO}}"
        return found


def duration(seconds: float) -> str:
    """As OpenAI writes it: 0s, 20ms, 1.5s, 6m0s. Rounded up, so that nobody comes too early."""
    milliseconds = math.ceil(round(seconds * 1000, 6))
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds else "0s"
    whole, thousandths = divmod(milliseconds, 1000)
    minutes, left = divmod(whole, 60)
    text = f"{left}.{thousandths:03}".rstrip("0").rstrip(".") if thousandths else str(left)
    return f"{minutes}m{text}s" if minutes else f"{text}s"


_BOTH = Rate(limit_requests=0, limit_tokens=0)
HEADERS = (*_BOTH.headers(), *_BOTH.anthropic_headers(0))
"""Their names."""
