"""What processes that need no secrets inherit."""

from __future__ import annotations

from tricorn.engines.spec import Binding
from tricorn.manager.replicas import process_binding
from tricorn.settings import secret_variables

SECRETS = {"API_KEYS": "k", "JWT_SECRET": "j", "TRICORN_API_KEY": "t", "HF_TOKEN": "h"}
SECRETS |= {"OTEL_EXPORTER_OTLP_HEADERS": "x-key=c", "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-key=c"}


def test_engines_get_no_secrets() -> None:
    """Neither the server's nor the hub's, however they are spelled."""
    given = SECRETS | {"PATH": "/bin", "jwt_secret": "j", "HUGGING_FACE_HUB_TOKEN": "h"}
    assert secret_variables.without(given) == {"PATH": "/bin"}
    found = process_binding.environment(Binding(), given)
    assert found == {"PATH": "/bin", "TOKENIZERS_PARALLELISM": "false"}


def test_what_a_model_is_given_it_has() -> None:
    """By its name in tricorn.yaml."""
    found = process_binding.environment(Binding(env={"HF_TOKEN": "own"}), SECRETS)
    assert found["HF_TOKEN"] == "own"


def test_a_pull_gets_the_hubs_only() -> None:
    """It must ask with it."""
    assert secret_variables.without(SECRETS, but_the_hubs=True) == {"HF_TOKEN": "h"}
