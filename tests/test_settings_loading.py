"""Where settings come from, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tricorn.config import Settings, load_settings
from tricorn.errors import StartupError


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
        monkeypatch.delenv(name, raising=False)


def test_defaults_without_any_source(tmp_path: Path) -> None:
    """An empty directory gives the defaults."""
    settings = load_settings(directory=tmp_path)
    assert (settings.port, settings.host, settings.models) == (8000, "127.0.0.1", {})


def test_flags_over_environment_over_dotenv_over_yaml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each source gives way to the one before it."""
    (tmp_path / "tricorn.yaml").write_text("port: 1001\n")
    assert load_settings(directory=tmp_path).port == 1001
    (tmp_path / ".env").write_text("PORT=1002\n")
    assert load_settings(directory=tmp_path).port == 1002
    monkeypatch.setenv("PORT", "1003")
    assert load_settings(directory=tmp_path).port == 1003
    assert load_settings({"port": 1004}, directory=tmp_path).port == 1004


def test_sources_add_up(tmp_path: Path) -> None:
    """A source that is silent on a setting leaves it to the next."""
    (tmp_path / "tricorn.yaml").write_text("port: 1001\nhost: 0.0.0.0\n")
    (tmp_path / ".env").write_text("PORT=1002\n")
    settings = load_settings({"workers": 3}, directory=tmp_path)
    assert (settings.port, settings.host, settings.workers) == (1002, "0.0.0.0", 3)


def test_a_named_file_is_read_and_must_exist(tmp_path: Path) -> None:
    """--config names a file anywhere; a missing one is an error, unlike a missing tricorn.yaml."""
    other = tmp_path / "other.yaml"
    with pytest.raises(StartupError, match=r"other\.yaml"):
        load_settings(config_file=other, directory=tmp_path)
    other.write_text("port: 1005\n")
    assert load_settings(config_file=other, directory=tmp_path).port == 1005


@pytest.mark.parametrize(
    ("file", "text"), [("tricorn.yaml", "context_lenght: 4096\n"), (".env", "CONTEXT_LENGHT=1\n")]
)
def test_an_unknown_name_is_refused_with_the_nearest(tmp_path: Path, file: str, text: str) -> None:
    """A typing error is told of, with what was meant."""
    (tmp_path / file).write_text(text)
    with pytest.raises(StartupError, match=r"context_lenght.*did you mean context_length"):
        load_settings(directory=tmp_path)


def test_an_unknown_name_of_a_model_is_refused_with_the_nearest(tmp_path: Path) -> None:
    """Under `models:` it is the model's settings that are meant."""
    (tmp_path / "tricorn.yaml").write_text("models:\n  a-model:\n    treads: 4\n")
    with pytest.raises(
        StartupError, match=r"models\.a-model\.treads: no such setting; did you mean threads\?"
    ):
        load_settings(directory=tmp_path)


def test_other_programs_variables_are_not_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is full of names that are not Tricorn's."""
    monkeypatch.setenv("CONTEXT_LENGHT", "1")
    assert load_settings(directory=tmp_path).context_length is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("port: 99999\n", r"port: .*got 99999"),
        ("mode: fast\n", "mode: .*got 'fast'"),
        ("models:\n  m:\n    threads: none\n", r"models\.m\.threads: .*got 'none'"),
    ],
)
def test_a_bad_value_is_named(tmp_path: Path, text: str, named: str) -> None:
    """The error says which setting, why, and what was given."""
    (tmp_path / "tricorn.yaml").write_text(text)
    with pytest.raises(StartupError, match=named):
        load_settings(directory=tmp_path)


def test_every_wrong_setting_is_told_of_at_once(tmp_path: Path) -> None:
    """Nobody has to start Tricorn once for each mistake."""
    (tmp_path / "tricorn.yaml").write_text("port: 0\nmode: fast\nprot: 1\n")
    with pytest.raises(StartupError) as caught:
        load_settings(directory=tmp_path)
    assert all(name in caught.value.message for name in ("port:", "mode:", "prot:"))


@pytest.mark.parametrize("text", ["port: [1\n", "- a\n- list\n"])
def test_a_file_that_is_no_mapping_is_a_startup_error(tmp_path: Path, text: str) -> None:
    """Broken YAML gives a message, not a traceback."""
    (tmp_path / "tricorn.yaml").write_text(text)
    with pytest.raises(StartupError):
        load_settings(directory=tmp_path)


def test_an_environment_variable_that_is_not_json_is_a_startup_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MODELS holds JSON; what does not parse is told of by its name."""
    monkeypatch.setenv("MODELS", "{no json")
    with pytest.raises(StartupError, match="models"):
        load_settings(directory=tmp_path)


def test_an_empty_variable_is_no_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`PORT=` means unset."""
    monkeypatch.setenv("PORT", "")
    assert load_settings(directory=tmp_path).port == 8000


@pytest.mark.parametrize(
    ("given", "expected"),
    [("https://a, https://b", ["https://a", "https://b"]), ("*", ["*"]), (" , ", [])],
)
def test_a_list_is_written_with_commas(tmp_path: Path, given: str, expected: list[str]) -> None:
    """CORS_ORIGINS is no JSON."""
    (tmp_path / ".env").write_text(f'CORS_ORIGINS="{given}"\n')
    assert load_settings(directory=tmp_path).cors_origins == expected


def test_a_models_own_settings_win(tmp_path: Path) -> None:
    """What `models:` leaves out comes from the server-wide settings."""
    (tmp_path / "tricorn.yaml").write_text(
        "context_length: 2048\nmax_cpu_threads: 2\n"
        "models:\n  m:\n    context_length: 512\n    engine_args: {type_k: q8_0}\n"
    )
    settings = load_settings(directory=tmp_path)
    options = settings.models["m"].options(settings.options())
    assert (options.context_length, options.threads) == (512, 2)
    assert options.engine_args == {"type_k": "q8_0"}
