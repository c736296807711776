"""Where settings come from, and what is said of wrong ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tricorn.errors import StartupError
from tricorn.settings.config import ModelSettings, Settings
from tricorn.settings.loading import from_json, load, load_settings


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


def test_vllms_own_names_are_arguments_of_vllm_alone() -> None:
    """Under ENGINE_ARGS and a model's own; the context's length is no argument, as elsewhere."""
    settings = Settings(
        context_length=2048,
        vllm_tensor_parallel_size=2,
        vllm_dtype="float16",
        vllm_trust_remote_code=False,
        vllm_max_model_len=8192,
        engine_args={"vllm": {"dtype": "bfloat16", "seed": 1}},
    )
    options = settings.engine_options("vllm")
    assert options.engine_args == {
        "tensor_parallel_size": 2,
        "dtype": "bfloat16",
        "trust_remote_code": False,
        "seed": 1,
    }
    assert options.context_length == 8192
    own = ModelSettings(context_length=512, engine_args={"tensor_parallel_size": 1})
    assert own.options(options).context_length == 512
    assert own.options(options).engine_args["tensor_parallel_size"] == 1
    other = settings.engine_options("llamacpp")
    assert (other.engine_args, other.context_length) == ({}, 2048)


@pytest.mark.parametrize(
    ("name", "given", "field", "value"),
    [
        ("INFERENCE_ENGINE", "vllm", "inference_engine", "vllm"),
        ("DEVICE_TYPE", "cpu", "device_type", "cpu"),
        ("MAX_CONCURRENT_MODELS", "3", "max_concurrent_models", 3),
        ("DEFAULT_MODEL", "org/m:Q4", "default_model", "org/m:Q4"),
        ("MODEL_BASE_PATH", "/m", "model_base_path", Path("/m")),
        ("HOST", "0.0.0.0", "host", "0.0.0.0"),
        ("PORT", "81", "port", 81),
        ("WORKERS", "4", "workers", 4),
        ("MAX_CONCURRENT_REQUESTS", "10", "max_concurrent_requests", 10),
        ("MAX_GPU_MEMORY", "0.8", "max_gpu_memory", 0.8),
        ("MAX_GPU_MEMORY", "20GB", "max_gpu_memory", 20_000_000_000),
        ("MAX_CPU_THREADS", "6", "max_cpu_threads", 6),
        ("ENABLE_CACHING", "false", "enable_caching", False),
        ("CACHE_SIZE", "100", "cache_size", 100),
        ("LOG_LEVEL", "WARNING", "log_level", "WARNING"),
        ("HF_ENDPOINT", "https://hub", "hf_endpoint", "https://hub"),
        ("HF_HOME", "/hf", "hf_home", Path("/hf")),
        ("HTTP_PROXY", "http://p:1", "http_proxy", "http://p:1"),
        ("https_proxy", "http://p:2", "https_proxy", "http://p:2"),
        ("VLLM_TENSOR_PARALLEL_SIZE", "2", "vllm_tensor_parallel_size", 2),
        ("VLLM_GPU_MEMORY_UTILIZATION", "0.85", "vllm_gpu_memory_utilization", 0.85),
        ("VLLM_MAX_MODEL_LEN", "8192", "vllm_max_model_len", 8192),
        ("VLLM_QUANTIZATION", "awq", "vllm_quantization", "awq"),
        ("VLLM_ENFORCE_EAGER", "true", "vllm_enforce_eager", True),
    ],
)
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_names_that_people_know(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    name: str,
    given: str,
    field: str,
    value: object,
) -> None:
    """In the environment and in .env; proxies also in small letters."""
    if where == "environment":
        monkeypatch.setenv(name, given)
    else:
        (tmp_path / ".env").write_text(f"{name}={given}\n")
    assert getattr(load_settings(directory=tmp_path), field) == value


def test_defaults_lie_under_each_models_own(tmp_path: Path) -> None:
    """`models: defaults:` is no model; dictionaries add up, name by name."""
    (tmp_path / "tricorn.yaml").write_text(
        "models:\n"
        "  defaults: {threads: 2, ttl: 5m, engine_args: {a: 1, b: 1}, env: {X: '1'}}\n"
        "  m: {threads: 4, engine_args: {b: 2}}\n"
        "  n:\n"
    )
    settings = load_settings(directory=tmp_path)
    assert set(settings.models) == {"m", "n"}
    assert settings.model_defaults.threads == 2
    one, other = settings.models["m"], settings.models["n"]
    assert (one.threads, one.ttl, one.engine_args, one.env) == (
        4,
        300,
        {"a": 1, "b": 2},
        {"X": "1"},
    )
    assert (other.threads, other.engine_args) == (2, {"a": 1, "b": 1})


def test_defaults_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As MODEL_DEFAULTS, or among MODELS; not as both."""
    monkeypatch.setenv("MODELS", '{"m": {}, "defaults": {"threads": 3}}')
    assert load_settings(directory=tmp_path).models["m"].threads == 3
    monkeypatch.setenv("MODEL_DEFAULTS", '{"threads": 5}')
    with pytest.raises(StartupError, match=r"model_defaults and models\.defaults are the same"):
        load_settings(directory=tmp_path)
    monkeypatch.setenv("MODELS", '{"m": {}}')
    assert load_settings(directory=tmp_path).models["m"].threads == 5


def test_what_the_gateway_gets_is_what_the_manager_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings are the same after a way through JSON, and the environment changes them no more."""
    (tmp_path / "tricorn.yaml").write_text(
        "models: {defaults: {ttl: never, numa_node: 0}, m: {cpus: 0-1}, n: {gpus: [0]}}\n"
    )
    settings = load_settings(directory=tmp_path)
    monkeypatch.setenv("MODELS", '{"defaults": {"threads": 1}, "x": {}}')
    assert from_json(settings.model_dump_json()).model_dump() == settings.model_dump()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {m: {threds: 1}}\n", r"models\.m\.threds: no such setting; did you mean threads"),
        ("models: {defaults: {path: x}}\n", r"models\.defaults\.path: no such setting"),
        ("srver: {}\n", r"srver: no such setting; did you mean server\?"),
        ("server: {prot: 1}\n", r"server\.prot: no such setting; did you mean port\?"),
        ("engine_args: {vlm: {}}\n", r"engine_args: there is no engine 'vlm'; did you mean vllm\?"),
        ("models: {/m: {}}\n", r"models\./m: a model's name must not begin with a slash"),
        ("models: {m: {aliases: [a/../b]}}\n", r"models\.m\.aliases\.0: .*must not have '\.\.'"),
        ("models: {m: {env: {'a b': x}}}\n", r"models\.m\.env: 'a b' is no name of an environment"),
        ("models: {m: {repo: name}}\n", r"models\.m\.repo: must be a hub id such as ORG/NAME"),
        ("models: {m: {path: a, repo: o/n}}\n", r"models\.m: path and repo both say where it is"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, said: str) -> None:
    """At every level of the file."""
    (tmp_path / "tricorn.yaml").write_text(text)
    with pytest.raises(StartupError, match=said):
        load_settings(directory=tmp_path)


def test_secrets_are_not_repeated(tmp_path: Path) -> None:
    """A message about a token, or a variable of an engine, leaves its value out."""
    text = "hf_token: [geheim]\nmodels: {m: {env: {TOKEN: {a: geheim}}}}\n"
    (tmp_path / "tricorn.yaml").write_text(text)
    with pytest.raises(StartupError) as caught:
        load_settings(directory=tmp_path)
    assert "hf_token" in caught.value.message
    assert "geheim" not in caught.value.message


def test_where_each_setting_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every source that gives it, the one that counts first; and the files that were looked at."""
    (tmp_path / "tricorn.yaml").write_text("server: {port: 1001, host: 0.0.0.0}\n")
    (tmp_path / ".env").write_text("PORT=1002\n")
    monkeypatch.setenv("WORKERS", "2")
    loaded = load({"port": 1003}, directory=tmp_path)
    assert loaded.origins["port"] == ["flag", ".env", "tricorn.yaml"]
    assert (loaded.origins["host"], loaded.origins["workers"]) == (
        ["tricorn.yaml"],
        ["environment"],
    )
    assert "mode" not in loaded.origins
    assert set(loaded.files) == {tmp_path / ".env", tmp_path / "tricorn.yaml"}
