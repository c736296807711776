"""What deploy/, the Dockerfile and docker-compose.yml name exists, and fits the settings."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tricorn import healthcheck
from tricorn.errors import BodyTooLarge, ManagerUnavailable
from tricorn.installing import environments, installer
from tricorn.installing.engine_installs import ENGINES
from tricorn.installing.environment_state import Environment
from tricorn.launch import parse
from tricorn.settings.config import Settings

PROJECT = Path(__file__).parents[2]
DEFAULTS = {name: field.default for name, field in Settings.model_fields.items()}
NO_SETTINGS = {"HOME"}
MONITORING = ("prometheus", "grafana")

Instruction = tuple[str, str]


def dockerfile() -> list[list[Instruction]]:
    """Each stage's instructions, from its FROM on; those before the first FROM come first."""
    text = re.sub(r"^#.*\n", "", (PROJECT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    stages: list[list[Instruction]] = [[]]
    for line in filter(None, lines):
        name, _, rest = line.partition(" ")
        if name == "FROM":
            stages.append([])
        stages[-1].append((name, rest.strip()))
    return stages


def of(stage: list[Instruction], wanted: str) -> list[str]:
    return [rest for name, rest in stage if name == wanted]


def arguments() -> dict[str, str]:
    """The build arguments with their defaults."""
    found = [rest for stage in dockerfile() for rest in of(stage, "ARG")]
    return {name: value.strip('"') for name, _, value in (one.partition("=") for one in found)}


def environment() -> dict[str, str]:
    (given,) = of(dockerfile()[-1], "ENV")
    return dict(pair.split("=", 1) for pair in given.split())


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
    return found


def unit() -> dict[str, list[str]]:
    """The unit's variables; each may be there several times."""
    found: dict[str, list[str]] = {}
    for line in (PROJECT / "deploy" / "tricorn.service").read_text().splitlines():
        if not line.startswith(("#", "[")) and "=" in line:
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def seconds(text: str) -> float:
    number = re.fullmatch(r"(\d+)(s|h|)", text)
    assert number is not None
    return int(number[1]) * {"h": 3600}.get(number[2], 1)


# --- the image ------------------------------------------------------------------------------------


def copied() -> list[str]:
    """The files and folders of the project that the image has."""
    return [
        source
        for stage in dockerfile()
        for rest in of(stage, "COPY")
        if not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]


def test_image_has_what_it_copies() -> None:
    """Every file that is copied exists, and .dockerignore lets it through."""
    lines = (PROJECT / ".dockerignore").read_text().splitlines()
    assert set(copied()) == {line[1:] for line in lines if line.startswith("!")}
    assert lines[1] == "*"
    for name in copied():
        assert (PROJECT / name).exists(), name


def test_image_is_not_run_by_root() -> None:
    """Its last stage names a user by number, as Kubernetes wants it, and none after that."""
    (user,) = of(dockerfile()[-1], "USER")
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)
    assert user.split(":")[0] in next(
        run for run in of(dockerfile()[-1], "RUN") if "useradd" in run
    )


def test_image_environment() -> None:
    """Only settings, with values that they take; it listens beyond itself, on the exposed port."""
    given = {name: value for name, value in environment().items() if name not in NO_SETTINGS}
    settings = Settings.model_validate({name.lower(): value for name, value in given.items()})
    assert set(given) <= {name.upper() for name in Settings.model_fields}
    assert (settings.host, settings.port) == ("0.0.0.0", DEFAULTS["port"])
    assert of(dockerfile()[-1], "EXPOSE") == [str(settings.port)]


def test_image_health_is_asked_for() -> None:
    """By a module of this program, in the environment that the image has."""
    (check,) = of(dockerfile()[-1], "HEALTHCHECK")
    python, *flags = json.loads(check.partition("CMD ")[2])
    assert python == ".venv/bin/python"
    assert flags == ["-m", healthcheck.__name__]


def test_image_starts_what_there_is() -> None:
    """run.py takes the flags; the engine it installs exists; its folders are those of the
    settings."""
    last = dockerfile()[-1]
    assert json.loads(of(last, "ENTRYPOINT")[0]) == ["python3", "run.py"]
    options, _ = parse(json.loads(of(last, "CMD")[0]))
    assert options.mode == "prod"
    assert arguments()["ENGINE"] in ENGINES
    home = Path(of(last, "WORKDIR")[0])
    own = {str(home / DEFAULTS[name]) for name in ("model_base_path", "data_dir")}
    assert {*own, environment()["HOME"]} == set(json.loads(of(last, "VOLUME")[0]))
    chowned = next(run for run in of(last, "RUN") if run.startswith("chown")).split()
    writable = {str(DEFAULTS[n]) for n in ("model_base_path", "data_dir", "log_dir", "engines_dir")}
    assert writable <= set(chowned)


def test_image_has_what_an_install_needs(tmp_path: Path) -> None:
    """What it copies is enough to see what is to be installed, and from which lists."""
    for name in copied():
        source = PROJECT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    command = [sys.executable, "run.py", "doctor", "--json"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    states = {check["name"]: check["what"] for check in json.loads(found.stdout)["checks"]}
    assert states["tricorn"].startswith("not installed yet"), found.stderr
    assert states["llama.cpp"] == "not installed; needed for the first start"


def test_image_brings_what_traces_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own words in Python say what they mean to: a module that moves is noticed here."""
    installed: list[Environment] = []
    monkeypatch.setattr(environments, "ensure", lambda wanted, _say: installed.append(wanted))
    monkeypatch.chdir(PROJECT)
    runs = " ".join(rest for stage in dockerfile() for rest in of(stage, "RUN"))
    words = re.findall(r'python3 -c "([^"]*)"', runs)
    for program in words:
        exec(program, {})
    assert installed == [installer.tracing_environment(PROJECT)]


def test_image_stages_share_a_python() -> None:
    """A virtual environment works only where the Python that made it is."""
    given = arguments()
    assert given["BUILD_IMAGE"] == given["RUNTIME_IMAGE"]
    workdirs = {tuple(of(stage, "WORKDIR")) for stage in dockerfile()[1:]}
    assert len(workdirs) == 1  # environments know their own path


def test_dockerfile_is_well_made() -> None:
    """By hadolint's rules."""
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint is installed with the tests on x86-64 Linux only")
    found = subprocess.run([hadolint, PROJECT / "Dockerfile"], capture_output=True, text=True)
    assert found.stdout == ""
    assert found.returncode == 0, found.stderr


# --- compose --------------------------------------------------------------------------------------


def test_compose_follows_the_specification() -> None:
    """Every name in it is one of Compose's, with a value of its type."""
    reason = "compose-spec is installed with the tests on x86-64 Linux only"
    specification = pytest.importorskip("compose_spec", reason=reason).ComposeSpecification
    project = specification.model_validate(compose())
    for name, service in project.services.items():
        fields = type(service).model_fields
        known = {field.alias or own for own, field in fields.items()}
        assert set(compose()["services"][name]) <= known, name


def test_compose_services() -> None:
    """A profile is Tricorn and nginx, or what looks at it; each door is for this machine alone."""
    services = compose()["services"]
    for profile in ("cpu", "gpu"):
        chosen = {name for name, one in services.items() if profile in one["profiles"]}
        assert len(chosen) == 2
        assert "nginx" in chosen
        (tricorn,) = chosen - {"nginx"}
        aliases = services[tricorn].get("networks", {}).get("default", {}).get("aliases", [])
        assert "tricorn" in [tricorn, *aliases]
    doors = {name: one["ports"] for name, one in services.items() if "ports" in one}
    assert set(doors) == {"nginx", *MONITORING}
    assert all(door.startswith("127.0.0.1:") for ports in doors.values() for door in ports)


def test_compose_fits_the_image() -> None:
    """Build arguments, environment, port and folders are the Dockerfile's and the settings'."""
    home = Path(of(dockerfile()[-1], "WORKDIR")[0])
    known = set(compose()["volumes"])
    folders = {str(home / DEFAULTS[name]) for name in ("model_base_path", "data_dir")}
    folders |= {environment()["HOME"], str(home / DEFAULTS["engines_dir"] / ENGINES["vllm"].folder)}
    for name, service in compose()["services"].items():
        if name in ("nginx", *MONITORING):
            continue
        build = service["build"]
        given = build.get("args", {}) if isinstance(build, dict) else {}
        assert set(given) <= set(arguments())
        assert set(service["environment"]) <= {one.upper() for one in Settings.model_fields}
        assert service["expose"] == [service["environment"]["PORT"]]
        for volume in service["volumes"]:
            source, target = volume.split(":")
            assert source in known or (PROJECT / source).is_dir()
            assert target in folders
        assert seconds(service["stop_grace_period"]) > DEFAULTS["drain_timeout_s"] + 30


def test_compose_nginx_reaches_tricorn() -> None:
    """The address that compose puts in its place is in deploy/nginx.conf, once."""
    nginx = compose()["services"]["nginx"]
    script = nginx["command"][-1]
    old, new = re.findall(r"s/([^/]+)/([^/]+)/", script)[0]
    site = (PROJECT / "deploy" / "nginx.conf").read_text()
    assert len(re.findall(old, site)) == 1
    assert new == f"tricorn:{DEFAULTS['port']}"
    source, target, _ = nginx["volumes"][0].split(":")
    assert (PROJECT / source).is_file()
    assert target in script
    inside = nginx["ports"][0].rpartition(":")[2]
    assert f"listen {inside};" in site


# --- nginx ----------------------------------------------------------------------------------------


def test_nginx_fits_the_settings() -> None:
    """Upstream, body size and times are those of the settings' defaults."""
    site = (PROJECT / "deploy" / "nginx.conf").read_text()
    values = dict(re.findall(r"^ *(\w+) ([^;{]+);", site, flags=re.MULTILINE))
    assert values["client_max_body_size"] == str(DEFAULTS["max_body_bytes"])
    assert values["server"] == f"{DEFAULTS['host']}:{DEFAULTS['port']}"
    assert values["proxy_buffering"] == "off"
    assert seconds(values["proxy_read_timeout"]) >= (
        DEFAULTS["load_timeout_s"] + DEFAULTS["max_wait_s"]
    )
    assert seconds(values["proxy_send_timeout"]) > DEFAULTS["sse_keepalive_s"]


def test_nginx_errors_are_tricorns() -> None:
    """Its own answers are JSON with the codes that Tricorn has for the same."""
    site = (PROJECT / "deploy" / "nginx.conf").read_text()
    told = {
        int(status): json.loads(body)["error"]
        for status, body in re.findall(r"return (\d+) '(.+)';", site)
    }
    for error in (BodyTooLarge("x"), ManagerUnavailable("x")):
        one = told.pop(error.status)
        assert (one["code"], one["type"]) == (error.code, error.type)
    assert not told


# --- systemd --------------------------------------------------------------------------------------


def test_unit_fits_tricorn() -> None:
    """It starts run.py with flags that it takes, names settings, and waits longer than a drain."""
    given = unit()
    (start,) = given["ExecStart"]
    _, script, *flags = start.split()
    (home,) = given["WorkingDirectory"]
    assert script == f"{home}/run.py"
    assert parse(flags)[0].mode == "prod"
    names = {one.partition("=")[0] for one in given["Environment"]}
    assert names - NO_SETTINGS <= {name.upper() for name in Settings.model_fields}
    assert seconds(given["TimeoutStopSec"][0]) > DEFAULTS["drain_timeout_s"] + 30
    assert seconds(given["TimeoutStartSec"][0]) > DEFAULTS["load_timeout_s"]
    assert given["Type"] == ["notify"]
    assert given["KillMode"] == ["mixed"]  # gateways and engines are the manager's to end
    assert given["OOMPolicy"] == ["continue"]
    # Tricorn reads .env itself: as environment it would go before the file at each reload.
    assert not [file for file in given["EnvironmentFile"] if file.endswith(".env")]


def test_unit_lets_engines_work() -> None:
    """Nothing that hides GPUs or forbids code that is made at run time."""
    given = unit()
    for name in ("MemoryDenyWriteExecute", "PrivateDevices", "DevicePolicy", "PrivateUsers"):
        assert name not in given
    document = given["Documentation"][0].removeprefix(f"file://{given['WorkingDirectory'][0]}/")
    assert (PROJECT / document).is_file()


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)
def test_unit_is_valid() -> None:
    """As systemd reads it."""
    told = subprocess.run(
        ["systemd-analyze", "verify", str(PROJECT / "deploy" / "tricorn.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in told.stderr.splitlines() if "tricorn.service" in line]
    assert (told.returncode, ours) == (0, [])


# --- scripts --------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="shell scripts")
@pytest.mark.parametrize("name", ["start", "stop", "restart", "status"])
def test_scripts_parse(name: str) -> None:
    """They are programs of sh, and say how they are used."""
    script = PROJECT / "scripts" / f"{name}.sh"
    assert os.access(script, os.X_OK)
    for file in (script, script.with_name("common.sh")):
        subprocess.run(["sh", "-n", str(file)], check=True)
    if (PROJECT / ".venv" / "bin" / "tricorn").exists():
        told = subprocess.run([script, "nonsense"], capture_output=True, text=True, check=False)
        assert told.returncode == 1
        assert told.stderr.startswith("usage: ")
