"""What watches Tricorn: Prometheus's files, the alert rules, and compose's profile for them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tricorn.access.permissions import PERMISSIONS
from tricorn.settings.config import Settings

PROJECT = Path(__file__).parents[2]
DEPLOY = PROJECT / "deploy"
PROMTOOL = shutil.which("promtool")
PARTS = ("_bucket", "_sum", "_count")
SERIES = {
    "TricornDown": {'up{job="tricorn"}': "0x30"},
    "TricornRestarted": {"tricorn_start_time_seconds": "1x18 2x3 3x10"},
    "TricornErrors": {
        'tricorn_requests_total{status="200"}': "0+9x30",
        'tricorn_requests_total{status="503"}': "0+1x30",
    },
    "TricornModelFails": {'tricorn_model_failures_total{model_name="m",when="loading"}': "0+1x30"},
    "TricornMemoryShort": {
        'tricorn_admission_rejections_total{model_name="m",reason="insufficient_memory"}': "0+1x30"
    },
    "TricornOverloaded": {
        'tricorn_admission_rejections_total{model_name="m",reason="overloaded"}': "0+1x30"
    },
    "TricornQueueing": {'tricorn_queued_requests{model_name="m"}': "1x30"},
    "TricornSlowFirstToken": {
        'tricorn_time_to_first_token_seconds_bucket{model_name="m",le="20"}': "0+1x30",
        'tricorn_time_to_first_token_seconds_bucket{model_name="m",le="40"}': "0+9x30",
        'tricorn_time_to_first_token_seconds_bucket{model_name="m",le="+Inf"}': "0+9x30",
    },
    "TricornCacheFull": {
        'tricorn_kv_cache_usage_perc{model_name="m",engine="e",replica="r"}': "0.99x30",
        'tricorn_num_requests_waiting{model_name="m",engine="e",replica="r"}': "3x30",
    },
    "TricornPreemptions": {
        'tricorn_num_preemptions_total{model_name="m",engine="e",replica="r"}': "0+60x30"
    },
    "TricornLogsLost": {"tricorn_log_lines_lost_total": "0x20 5x10"},
}
"""What each alert is to be seen in, one value a minute."""


def read(name: str) -> Any:
    return yaml.safe_load((DEPLOY / name).read_text())


def rules() -> list[dict[str, Any]]:
    (group,) = read("alerts.yml")["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((PROJECT / "docker-compose.yml").read_text())
    return found


def anchors(document: str) -> set[str]:
    """The headings of a document, as links name them."""
    headings = re.findall(r"^#+ (.+)$", (PROJECT / "docs" / document).read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


# --- alerts ---------------------------------------------------------------------------------------


def test_alerts_are_of_documented_metrics() -> None:
    """docs/monitoring.md names every metric in a rule."""
    document = (PROJECT / "docs" / "monitoring.md").read_text()
    known = set(re.findall(r"`(tricorn_\w+)`", document))
    for rule in rules():
        for name in re.findall(r"\btricorn_\w+", rule["expr"]):
            whole = next((name.removesuffix(part) for part in PARTS if name.endswith(part)), name)
            assert {name, whole} & known, name


def test_alerts_say_what_to_do() -> None:
    """Each has a severity, a sentence, and a heading of the runbook."""
    known = anchors("operations.md")
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"] in known
    named = (PROJECT / "docs" / "operations.md").read_text()
    assert not [rule["alert"] for rule in rules() if f"`{rule['alert']}`" not in named]


def test_prometheus_reads_the_alerts() -> None:
    assert [DEPLOY / name for name in read("prometheus.yml")["rule_files"]] == [
        DEPLOY / "alerts.yml"
    ]


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_alerts_fire(tmp_path: Path) -> None:
    """Each in its own case, as Prometheus itself reckons; and none where nothing is wrong."""
    assert set(SERIES) == {rule["alert"] for rule in rules()}
    cases = [_case(series, name) for name, series in SERIES.items()]
    quiet = {'up{job="tricorn"}': "1x30", 'tricorn_requests_total{status="200"}': "0+9x30"}
    cases += [_case(quiet, name, fires=False) for name in SERIES]
    file = tmp_path / "cases.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(DEPLOY / "alerts.yml")], "tests": cases}))
    for arguments in (
        ["check", "config", str(DEPLOY / "prometheus.yml")],
        ["test", "rules", str(file)],
    ):
        told = subprocess.run(
            [str(PROMTOOL), *arguments], capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stdout + told.stderr


def _case(series: dict[str, str], alert: str, *, fires: bool = True) -> dict[str, Any]:
    """That the alert is there, or is not, after 29 minutes. Its labels and words are not looked
    at, so what is asked is Prometheus's own series of alerts."""
    expected = [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if fires else []
    question = f'count by (alertname) (ALERTS{{alertname="{alert}",alertstate="firing"}})'
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": question, "eval_time": "29m", "exp_samples": expected}],
    }


# --- compose --------------------------------------------------------------------------------------


def test_compose_profile() -> None:
    """Prometheus and Grafana and nothing else; the files that they are given exist, but for the
    key, which is never committed."""
    services = compose()["services"]
    chosen = {name for name, one in services.items() if "monitoring" in one["profiles"]}
    assert chosen == {"prometheus", "grafana"}
    for name in chosen:
        assert services[name]["profiles"] == ["monitoring"]
        assert re.fullmatch(r"[\w/]+:v?\d+\.\d+\.\d+", services[name]["image"])
        for volume in services[name]["volumes"]:
            if isinstance(volume, dict):
                source = volume["source"]
                assert (volume["type"], volume["read_only"]) == ("bind", True)
                assert volume["bind"] == {"create_host_path": False}
                assert source == "./deploy/prometheus.key"
                assert "/deploy/*.key" in (PROJECT / ".gitignore").read_text().splitlines()
            else:
                source = volume.split(":")[0]
                assert source in compose()["volumes"] or (PROJECT / source).is_file(), volume


@pytest.mark.skipif(shutil.which("sed") is None, reason="sed is not installed")
def test_compose_prometheus_has_the_key(tmp_path: Path) -> None:
    """What the container makes of deploy/prometheus.yml: another address, and the key's file where
    it is mounted."""
    service = compose()["services"]["prometheus"]
    script = service["entrypoint"][-1].partition(" && exec ")[0].replace("/tmp/", f"{tmp_path}/")
    for name in ("prometheus.yml", "alerts.yml"):
        script = script.replace(f"/etc/tricorn/{name}", str(DEPLOY / name))
    subprocess.run(["sh", "-c", script], check=True)
    made = yaml.safe_load((tmp_path / "prometheus.yml").read_text())
    plain = read("prometheus.yml")
    (job,) = made.pop("scrape_configs")
    (bare,) = plain.pop("scrape_configs")
    (mounted,) = [one["target"] for one in service["volumes"] if isinstance(one, dict)]
    assert job.pop("authorization") == {"credentials_file": mounted}
    assert job.pop("static_configs") == [
        {"targets": [f"tricorn:{Settings.model_fields['port'].default}"]}
    ]
    assert bare.pop("static_configs") == [{"targets": ["127.0.0.1:8000"]}]
    assert (made, job) == (plain, bare)
    assert (tmp_path / "alerts.yml").read_text() == (DEPLOY / "alerts.yml").read_text()
    assert "metrics" in PERMISSIONS


def test_compose_grafana_has_no_password() -> None:
    """Nobody can sign in, so that no password of Grafana's own is left as it was; who looks can
    only look."""
    environment = compose()["services"]["grafana"]["environment"]
    assert environment["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert environment["GF_AUTH_BASIC_ENABLED"] == "false"
    assert environment["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"
    assert all(isinstance(value, str) for value in environment.values())


def test_compose_grafana_finds_all() -> None:
    """Prometheus by its service's name, and the dashboard where its folder is looked for."""
    service = compose()["services"]["grafana"]
    (source,) = read("grafana/datasource.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = read("grafana/dashboards.yml")["providers"]
    targets = dict(volume.split(":")[:2] for volume in service["volumes"])
    dashboard = targets["./deploy/grafana-dashboard.json"]
    assert Path(dashboard).parent == Path(provider["options"]["path"])
    assert service["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"] == dashboard
