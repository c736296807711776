"""What a pull's process is told by its environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from tricorn.hub.environment import of_pull
from tricorn.settings.config import Settings


def test_settings_win_over_what_is_there() -> None:
    """Endpoint, token, home and proxies as the settings have them; a proxy in either spelling."""
    settings = Settings.model_validate(
        {
            "hf_endpoint": "https://mirror.example",
            "hf_token": "hf_x",
            "hf_home": Path("/data/hf"),
            "http_proxy": "http://proxy:1",
            "https_proxy": "http://proxy:2",
            "no_proxy": "localhost",
        }
    )
    base = {"PATH": "/bin", "https_proxy": "http://old", "HF_TOKEN": "hf_old"}
    assert of_pull(settings, base) == {
        "PATH": "/bin",
        "HF_ENDPOINT": "https://mirror.example",
        "HF_TOKEN": "hf_x",
        "HF_HOME": "/data/hf",
        "HTTP_PROXY": "http://proxy:1",
        "HTTPS_PROXY": "http://proxy:2",
        "NO_PROXY": "localhost",
        "HF_HUB_VERBOSITY": "critical",
    }


def test_what_is_not_set_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user's own environment still counts."""
    for name in ("HF_HOME", "NO_PROXY"):
        monkeypatch.delenv(name)
    base = {"HF_TOKEN": "hf_mine", "https_proxy": "http://mine"}
    found = of_pull(Settings(hf_token=None, https_proxy=None), base)
    assert found == base | {"HF_HUB_VERBOSITY": "critical"}
