"""Settings as they may be shown: without what is secret in them."""

from __future__ import annotations

import re
from typing import Any

from pydantic import BaseModel, SecretStr

MASK = "********"
_SECRET_NAME = re.compile(
    r"(^|_|-)(token|key|apikey|secret|password|passwd|pwd|credentials?|auth)($|_|-)", re.IGNORECASE
)
_USER_IN_URL = re.compile(r"//[^/@\s]+@")


def shown(value: Any, name: str = "") -> Any:
    """JSON of a setting's value. Names tell what is secret, and so do addresses with a user."""
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    if isinstance(value, BaseModel):
        return shown({one: getattr(value, one) for one in sorted(value.model_fields_set)})
    if isinstance(value, dict):
        return {str(key): shown(one, str(key)) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [shown(one, name) for one in value]
    if isinstance(value, str) and value:
        return MASK if _SECRET_NAME.search(name) else _USER_IN_URL.sub(f"//{MASK}@", value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if abs(value) != float("inf") else "never"
    return str(value)
