"""The runbook is true: every alarm leads to a section of it, and what a section names and has people type is there."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from db.core.settings import Settings
from scripts.cli.app import app
from tests.compose.test_observability import reported_metrics

ROOT = Path(__file__).parent.parent
RUNBOOK = (ROOT / "docs/operations.md").read_text()
OBSERVABILITY = ROOT / "terraform/modules/observability"
ALARMS = (OBSERVABILITY / "alarms.tf").read_text()
LOG_METRICS = (OBSERVABILITY / "log_metrics.tf").read_text()
TYPED = re.compile(r"`(leadger [a-z]|celery |alembic |terraform |redis-cli |grep |SELECT )")


def _anchor(heading: str) -> str:
    """The anchor that a heading has where Markdown is shown."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@cache
def _sections() -> dict[str, str]:
    """The text below each heading, by anchor."""
    parts = re.split(r"^## (.+)$", RUNBOOK, flags=re.MULTILINE)[1:]
    return {_anchor(heading): text for heading, text in zip(parts[::2], parts[1::2], strict=True)}


def _rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((ROOT / "compose/observability/alerts.yml").read_text())["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def _alarms() -> dict[str, str]:
    """The section of each CloudWatch alarm, by its name in alarms.tf."""
    found = {}
    for line in ALARMS.splitlines():
        if match := re.match(r'\s+(?:for .* : "(.+)"|([a-z0-9-]+)) =>? ?\{$', line):
            name = match[1] or match[2]
        elif match := re.match(r'\s+see\s+= "(.*)"$', line):
            assert name not in found, name
            found[name] = match[1]
    return found


def _linked() -> set[str]:
    return {rule["annotations"]["runbook"].partition("#")[2] for rule in _rules()} | set(_alarms().values())


def _code(text: str) -> Iterator[str]:
    """What stands between backticks."""
    for span in re.findall(r"`([^`]+)`", text):
        yield " ".join(span.split())


def _sources() -> str:
    return "\n".join(path.read_text() for part in ("api", "db", "worker") for path in (ROOT / part).rglob("*.py"))


def _deployment() -> str:
    """What starts and surrounds Leadger, with variables of its own."""
    paths = [*(ROOT / "compose").iterdir(), *(ROOT / "scripts").rglob("*.py"), *(ROOT / "terraform").rglob("*.tf")]
    return "\n".join(path.read_text() for path in paths if path.is_file())


def test_every_alert_of_prometheus_leads_to_a_section() -> None:
    assert len(_rules()) >= 13
    for rule in _rules():
        page, _, anchor = rule["annotations"]["runbook"].partition("#")
        assert page == "docs/operations.md", rule["alert"]
        assert anchor in _sections(), rule["alert"]


def test_every_alarm_of_cloudwatch_leads_to_a_section() -> None:
    alarms = _alarms()
    assert len(alarms) == len(re.findall(r"^\s+says\s+=", ALARMS, re.MULTILINE)) >= 25
    assert set(alarms.values()) <= _sections().keys()
    assert '"${each.value.says}. What to do: docs/operations.md#${each.value.see}"' in ALARMS


def test_nothing_that_must_be_noticed_is_without_an_alarm() -> None:
    rules = {rule["annotations"]["runbook"].partition("#")[2] for rule in _rules()}
    alarms = set(_alarms().values())
    for anchor in (
        "leads-are-refused",
        "the-workers-are-paused",
        "batches-are-stuck",
        "an-invariant-is-violated",
        "dead-letters",
        "quarantine",
        "redis-is-away",
        "leads-wait",
        "beat-is-away",
    ):
        assert anchor in rules & alarms


@pytest.mark.parametrize("anchor", sorted(_linked()))
def test_every_section_says_what_to_look_at_what_it_means_and_what_to_type(anchor: str) -> None:
    text = _sections()[anchor]
    see, means, do = (text.index(words) for words in ("**You see**", "**It means**", "**Do"))
    assert see < means < do
    assert re.search(r"`[^`]+`|[0-9]+ %", text[see:means]), "nothing to look at"
    assert TYPED.search(text[do:]), "nothing to type"


def test_the_first_table_sends_everybody_to_the_section_of_the_alarm() -> None:
    rows = re.findall(r"^\| .* \| (.*) \| \[.*\]\(#(.+)\) \|$", RUNBOOK, re.MULTILINE)
    shown = {name: anchor for names, anchor in rows for name in _code(names)}
    assert set(shown.values()) <= _sections().keys()
    for rule in _rules():
        assert shown.pop(rule["alert"]) == rule["annotations"]["runbook"].partition("#")[2]
    for name, anchor in _alarms().items():
        assert shown[_name_in_table(name)] == anchor, name
    assert shown.keys() == {*map(_name_in_table, _alarms()), "…-MemoryUtilization"}


def _name_in_table(alarm: str) -> str:
    """What the table calls an alarm, which may be one of several with the same beginning or end."""
    if alarm.startswith("database-"):
        return "database-…"
    return alarm.replace("${pair[0]}-${pair[1]}", "…-CPUUtilization").partition("-${")[0]


def test_every_link_inside_leads_somewhere() -> None:
    targets = set(re.findall(r"\]\(#(.+?)\)", RUNBOOK.replace("\n", " ")))
    assert len(targets) > 10
    assert targets <= _sections().keys()


def test_every_metric_setting_and_log_event_that_it_names_is_there() -> None:
    """What is renamed in the code and not here would be looked for in vain."""
    told, around = reported_metrics(), _deployment()
    sources = _sources() + around
    settings = {f"LEADGER_{name.upper()}" for name in Settings.model_fields}
    for span in _code(RUNBOOK):
        metrics = re.findall(r"\b(?:leadger|process)_[a-z_]+", span)
        assert set(metrics) <= told, span
        for variable in re.findall(r"\bLEADGER_[A-Z_]+", span):
            assert variable in settings or variable in around, span
        if not metrics and re.fullmatch(r"[a-z]+(_[a-z]+)+", span):
            assert re.search(rf"\b{span}\b", sources), span


def test_every_command_that_it_has_people_type_exists() -> None:
    commands: Any = get_command(app)
    assert {"dead-letters", "stuck", "pause"} <= commands.commands.keys()
    actions = " ".join(rule["annotations"]["action"] for rule in _rules())
    typed = [span for span in _code(RUNBOOK + actions) if re.match(r"leadger [a-z]", span)]
    assert len(typed) > 15
    for line in typed:
        command = commands
        for word in line.split()[1:]:
            if hasattr(command, "commands"):
                assert word in command.commands, line
                command = command.commands[word]


def test_every_figure_that_cloudwatch_reads_from_a_log_is_logged() -> None:
    """Failed before: nobody logged `inbox_measured`, so the alarm about the inbox would never have been cleared."""
    sources = _sources()
    lines = re.findall(r'event = \\"(\w+)\\".*?value = "(.+?)"', LOG_METRICS)
    assert len(lines) >= 7
    for event, value in lines:
        (call,) = re.findall(rf'log\.\w+\(\s*"{event}"(.*?)\)\n', sources, re.DOTALL)[:1]
        field = value.removeprefix("$.")
        assert value == "1" or f"{field}=" in call or "**" in call, event
