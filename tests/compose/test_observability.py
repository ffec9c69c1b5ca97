"""Prometheus and Grafana ask for nothing that `/metrics` does not tell."""

import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
import yaml
from prometheus_client import generate_latest

from billing.actions import Outcome
from db.telemetry.business_figures import Figures
from db.telemetry.metrics import DEPRECATED, registry_with
from tests.compose.observability import FOLDER, panels, rules

_METRIC = re.compile(r"\b(?:leadger|process|python)_[a-z_]+\b")


def reported_metrics() -> set[str]:
    """The names in /metrics."""
    figures = Figures(
        accepted=1,
        leads={"new": 1},
        actions=dict.fromkeys(Outcome, 1),
        money_minor={("EUR", "billed"): 1},
        **dict.fromkeys(("waiting", "quarantined", "dead_letters", "tasks", "task_failures"), 1),
        **dict.fromkeys(("violations", "proof_differences", "batches", "batch_us"), 1),
        deliveries={"failed": 1},
        **dict.fromkeys(("deliveries_waiting", "webhooks_disabled"), 1),
        delivery_oldest_s=1.0,
        oldest_s=1.0,
        proof_oldest_s=1.0,
        paused_s=1.0,
        swept_at_s=1,
        mails=dict.fromkeys(("sent", "bounced", "waiting", "given_up"), 1),
        mails_oldest_s=1.0,
        runs=1,
        runs_failed=1,
        run_us=1,
        run_items={"successful": 1},
        run_dead_letters=1,
        looked_at_s=1.0,
    )
    return set(re.findall(r"^(\w+)", generate_latest(registry_with(figures, 1, {})).decode(), re.MULTILINE))


def _expressions() -> Iterator[str]:
    for rule in rules():
        yield rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield target["expr"]


def test_every_expression_asks_for_metrics_that_arereported_metrics() -> None:
    reported = reported_metrics()
    assert "leadger_leads_accepted_total" in reported
    for expression in _expressions():
        asked = set(_METRIC.findall(expression))
        assert asked or expression.startswith("up{"), expression
        assert asked <= reported, expression


def test_every_metric_of_ours_is_on_the_dashboard() -> None:
    shown = {name for panel in panels() for t in panel["targets"] for name in _METRIC.findall(t["expr"])}
    ours = {name for name in reported_metrics() if name.startswith("leadger_") and not name.endswith("_created")}
    ours -= {f"{name}_total" for name in DEPRECATED}
    assert ours <= shown


def test_every_alert_says_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "action", "runbook"}


def test_panels_do_not_overlap_and_have_ids_of_their_own() -> None:
    assert len({panel["id"] for panel in panels()}) == len(panels())
    taken: set[tuple[int, int]] = set()
    for panel in panels():
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["w"]) for y in range(place["h"])}
        cells = {(place["x"] + x, place["y"] + y) for x, y in cells}
        assert taken.isdisjoint(cells), panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells


def test_colours_change_as_values_grow() -> None:
    """Failed before: Grafana reads the steps in their order, so orange came after red and was never seen."""
    for panel in panels():
        steps = panel["fieldConfig"]["defaults"].get("thresholds", {"steps": []})["steps"]
        assert [step["value"] for step in steps[:1]] in ([], [None])
        values = [step["value"] for step in steps[1:]]
        assert values == sorted(values), panel["title"]


def test_every_panel_asks_the_source_that_grafana_is_given() -> None:
    (source,) = yaml.safe_load((FOLDER / "grafana-datasource.yml").read_text())["datasources"]
    asked = [asks["datasource"] for panel in panels() for asks in (panel, *panel["targets"])]
    assert asked == [{"type": source["type"], "uid": source["uid"]}] * len(asked)


def test_every_alert_fires_in_a_test() -> None:
    cases = yaml.safe_load((FOLDER / "alerts.test.yml").read_text())["tests"]
    fired = {check["alertname"] for case in cases for check in case["alert_rule_test"] if check["exp_alerts"]}
    assert fired >= {rule["alert"] for rule in rules()}


def test_prometheus_takes_the_rules_and_they_fire_when_they_should() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("the alert rules were not run: promtool not found (on Debian: apt-get install prometheus)")
    for words in (
        ("check", "config", "--syntax-only", "prometheus.yml"),
        ("check", "rules", "alerts.yml"),
        ("test", "rules", "alerts.test.yml"),
    ):
        done = subprocess.run([promtool, *words], cwd=FOLDER, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
