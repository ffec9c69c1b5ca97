"""Prometheus and Grafana ask for nothing that `/metrics` does not tell."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import generate_latest

from api.metrics import registry_with
from billing.actions import Outcome
from db.metrics import Figures

_FOLDER = Path(__file__).parents[2] / "compose/observability"
_METRIC = re.compile(r"\b(?:leadger|process|python)_[a-z_]+\b")


def _told() -> set[str]:
    """The names in /metrics."""
    figures = Figures(
        accepted=1,
        leads={"new": 1},
        actions=dict.fromkeys(Outcome, 1),
        money_minor={("EUR", "billed"): 1},
        **dict.fromkeys(("waiting", "quarantined", "dead_letters", "tasks", "task_failures"), 1),
        **dict.fromkeys(("violations", "batches", "batch_us"), 1),
        oldest_s=1.0,
        paused_s=1.0,
        swept_at_s=1,
    )
    return set(re.findall(r"^(\w+)", generate_latest(registry_with(figures, 1, {})).decode(), re.MULTILINE))


def _dashboard() -> dict[str, Any]:
    dashboard: dict[str, Any] = json.loads((_FOLDER / "dashboard.json").read_text())
    return dashboard


def _expressions() -> Iterator[str]:
    for group in yaml.safe_load((_FOLDER / "alerts.yml").read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["expr"]
    for panel in _dashboard()["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def test_every_expression_asks_for_metrics_that_are_told() -> None:
    told = _told()
    assert "leadger_leads_accepted_total" in told
    for expression in _expressions():
        asked = set(_METRIC.findall(expression))
        assert asked or expression.startswith("up{"), expression
        assert asked <= told, expression


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    shown = {name for panel in _dashboard()["panels"] for t in panel["targets"] for name in _METRIC.findall(t["expr"])}
    ours = {name for name in _told() if name.startswith("leadger_") and not name.endswith("_created")}
    assert ours <= shown


def test_every_alert_says_what_to_do() -> None:
    (group,) = yaml.safe_load((_FOLDER / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]:
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "action", "runbook"}


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    panels = _dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["w"]) for y in range(place["h"])}
        cells = {(place["x"] + x, place["y"] + y) for x, y in cells}
        assert taken.isdisjoint(cells), panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_prometheus_takes_the_rules_and_they_fire_when_they_should() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("the alert rules were not run: promtool not found (on Debian: apt-get install prometheus)")
    for words in (
        ("check", "config", "--syntax-only", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts.test.yml"),
    ):
        done = subprocess.run([promtool, *words], cwd=_FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
