"""The environment in which huggingface_hub does what the settings say: it reads it when imported.

Secrets reach a pull's process this way only, never by its arguments.
"""

from __future__ import annotations

from collections.abc import Mapping

from tricorn.settings import secret_variables
from tricorn.settings.config import Settings


def of_pull(settings: Settings, base: Mapping[str, str]) -> dict[str, str]:
    """`base` with the settings over it."""
    given = {
        "HF_ENDPOINT": settings.hf_endpoint,
        "HF_HOME": str(settings.hf_home.expanduser()) if settings.hf_home else None,
        "HF_TOKEN": settings.hf_token.get_secret_value() if settings.hf_token else None,
        "HTTP_PROXY": settings.http_proxy,
        "HTTPS_PROXY": settings.https_proxy,
        "NO_PROXY": settings.no_proxy,
    }
    changed = {name: value for name, value in given.items() if value is not None}
    environment = secret_variables.without(base, but_the_hubs=True)
    for name in changed:
        # Both spellings of a proxy are read, the small letters first.
        environment.pop(name.lower(), None)
    # What it says of each retry names addresses that carry signatures.
    return environment | {"HF_HUB_VERBOSITY": "critical"} | changed
