"""A real Prometheus takes what compose gives it, and sees in a running Leadger all that rules and dashboard ask for."""

import re
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from typer.testing import CliRunner

from scripts.cli.app import app
from scripts.client import Client
from scripts.local.embedded import valkey
from tests.builders import lead
from tests.compose.observability import panels, rules
from tests.compose.prometheus import PROGRAM, Prometheus, running_prometheus
from tests.databases import copy_statement, execute
from tests.stack import Stack, running_stack

pytestmark = pytest.mark.skipif(
    PROGRAM is None,
    reason="no Prometheus saw rules and dashboard: prometheus not found (on Debian: apt-get install prometheus)",
)

_PATIENCE_S = 20.0
_ALL_UP = [("leadger-api", "up", "")]
_FAULT = "ALTER TABLE actions ADD CONSTRAINT fault CHECK (action_type <> 'Poison')"
_MENDED = "ALTER TABLE actions DROP CONSTRAINT fault"


@pytest.fixture(scope="module")
def watched(server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A Leadger of its own, because alarms would tell what other tests did to a shared one."""
    folder = tmp_path_factory.mktemp("watched")
    execute(server_url, copy_statement(folder.name, template))
    database_url = urlunsplit(urlsplit(server_url)._replace(path=f"/{folder.name}"))
    with (
        valkey(folder / "valkey", durable=False) as redis_url,
        running_stack(database_url, redis_url, folder / "home") as stack,
    ):
        yield stack
    execute(server_url, f"DROP DATABASE {folder.name} WITH (FORCE)")


@pytest.fixture(scope="module")
def prometheus(watched: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus with a key as docs/images.md makes it; the sample leads are billed while it looks on."""
    key = _leadger(watched, "keys", "create", "prometheus", "--scope", "metrics")
    with running_prometheus(watched, key, tmp_path_factory.mktemp("prometheus")) as prometheus:
        _eventually(lambda: _targets(prometheus), _ALL_UP)
        _leadger(watched, "samples")
        yield prometheus


def _leadger(stack: Stack, *words: str) -> str:
    result = CliRunner().invoke(app, words, env=stack.env)
    assert result.exit_code == 0, result.output
    return result.stdout


def _eventually(find: Callable[[], Any], expected: Any) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while (found := find()) != expected and time.monotonic() < deadline:
        time.sleep(0.2)
    assert found == expected


def _targets(prometheus: Prometheus) -> list[tuple[str, ...]]:
    active = prometheus.ask("targets")["activeTargets"]
    return [(each["labels"]["job"], each["health"], each["lastError"]) for each in active]


def _without_lines(prometheus: Prometheus, *expressions: str) -> list[str]:
    return [expression for expression in expressions if not prometheus.lines(expression)]


def _as_figures(rule: str) -> str:
    """A rule's expression with figures where it compares: it has a line wherever the rule could fire."""
    return re.sub(r"(==|[<>])", r"\1 bool", rule).replace("unless", "and")


def test_every_target_is_up(prometheus: Prometheus) -> None:
    _eventually(lambda: _targets(prometheus), _ALL_UP)


def test_every_rule_is_loaded_and_healthy(prometheus: Prometheus) -> None:
    def loaded() -> list[tuple[str, ...]]:
        groups = prometheus.ask("rules")["groups"]
        return [(each["name"], each["health"], each.get("lastError", "")) for all_ in groups for each in all_["rules"]]

    _eventually(loaded, [(rule["alert"], "ok", "") for rule in rules()])


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_rule_compares_figures_that_are_there(prometheus: Prometheus, rule: dict[str, Any]) -> None:
    expression = _as_figures(rule["expr"])
    assert "bool" in expression
    _eventually(lambda: _without_lines(prometheus, expression), [])


@pytest.mark.parametrize("panel", panels(), ids=lambda panel: f"{panel['id']}-{panel['title']}")
def test_every_panel_draws_lines_and_names_them(prometheus: Prometheus, panel: dict[str, Any]) -> None:
    _eventually(lambda: _without_lines(prometheus, *(target["expr"] for target in panel["targets"])), [])
    for target in panel["targets"]:
        names = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
        for labels in prometheus.lines(target["expr"]):
            assert names <= labels.keys(), target


@pytest.mark.parametrize(
    "expression",
    [
        "max(leadger_waiting_leads)",
        'rate(process_cpu_seconds_total{job="leadger"}[1m])',
        "max(rate(leadger_task_failures_total[5m])) / max(rate(leadger_notification_failures_total[5m]))",
        _as_figures("max(leadger_waiting_leads) > 0"),
        _as_figures("max(leadger_inbox_oldest_seconds) > 60 unless max(leadger_paused_seconds) > 0"),
    ],
)
def test_a_metric_that_nobody_reports_has_no_line(prometheus: Prometheus, expression: str) -> None:
    assert _without_lines(prometheus, expression) == [expression]


def test_a_dead_letter_fires_an_alert_until_it_is_fixed_and_nothing_else_does(
    watched: Stack, prometheus: Prometheus
) -> None:
    def firing() -> list[tuple[str, ...]]:
        alerts = prometheus.ask("alerts")["alerts"]
        return [(each["labels"]["alertname"], each["state"], each["annotations"]["summary"]) for each in alerts]

    _eventually(firing, [])
    execute(watched.database_url, _FAULT)
    with Client(watched.url, watched.key) as client:
        poison = ("Poison", "High", "2024-04-10T09:00:00Z")
        sent = client.post("/leads", lead("poisoned", poison, customer="customer-123", product="product-abc"))
        client.wait_for(sent["status_url"], timeout_s=30)
    summary = "1 leads could not be decided because of a fault; the rest of their batches was billed."
    _eventually(firing, [("LeadgerDeadLetters", "firing", summary)])
    execute(watched.database_url, _MENDED)
    assert _leadger(watched, "dead-letters", "retry") == "1 leads wait again to be decided.\n"
    _eventually(firing, [])
