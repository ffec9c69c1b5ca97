"""The house rules: each one finds what breaks it, and nothing in the code breaks one."""

import pytest

from scripts.dev import house_rules


def _broken(path: str, *lines: str) -> list[str]:
    return house_rules.broken_rules(path, "\n".join(lines) + "\n")


@pytest.mark.parametrize(
    ("path", "line", "rule"),
    [
        ("api/routes/leads.py", 'x = "SELECT id FROM leads"', "sql_only_in_db"),
        ("worker/tasks/leads.py", 'x = f"DELETE FROM {table}"', "sql_only_in_db"),
        ("scripts/cli/keys.py", 'x = """\n  UPDATE leads SET a = 1"""', "sql_only_in_db"),
        ("billing/rates.py", 'x = "WITH one AS (SELECT 1) SELECT 2"', "sql_only_in_db"),
        ("db/intake/inbox.py", 'x = "SELECT id FROM inbox FOR UPDATE SKIP LOCKED"', "locks_only_in_the_lock_file"),
        ("db/intake/inbox.py", 'x = "SELECT pg_try_advisory_lock($1)"', "locks_only_in_the_lock_file"),
        ("db/access/api_keys.py", 'x = "LOCK TABLE api_keys"', "locks_only_in_the_lock_file"),
        ("db/access/api_keys.py", 'x = f"SELECT {a} FOR\\n NO KEY UPDATE"', "locks_only_in_the_lock_file"),
        ("tests/test_x.py", 'monkeypatch.setattr(module, "_NAME", 1)', "tests_patch_public_names"),
        ("tests/test_x.py", 'monkeypatch.setattr("db.core._NAME", 1)', "tests_patch_public_names"),
        ("tests/test_x.py", 'monkeypatch.delattr(module, "_NAME")', "tests_patch_public_names"),
        ("tests/test_x.py", 'patch("db.core._NAME")', "tests_patch_public_names"),
        ("tests/test_x.py", 'patch.object(module, "_NAME")', "tests_patch_public_names"),
        ("tests/test_x.py", "module._NAME = 1", "tests_patch_public_names"),
        ("tests/test_x.py", "from tests.stack import _wait", "private_names_stay_in_their_module"),
        ("db/masters/rates.py", "from db.core.engine import _connect", "private_names_stay_in_their_module"),
        ("billing/rates.py", "def f():\n    global card\n    card = 1", "no_switch_in_the_domain"),
        ("billing/rates.py", "def f():\n    globals()['card'] = 1", "no_switch_in_the_domain"),
        ("billing/rates.py", "CARDS = {}\ndef f():\n    CARDS[1] = 2", "no_switch_in_the_domain"),
        ("billing/rates.py", "from billing import money\ndef f():\n    money.DIGITS = 3", "no_switch_in_the_domain"),
        ("api/schemas/masters.py", "def f(row: asyncpg.Record): ...", "no_records_outside_db"),
        ("worker/tasks/leads.py", "from asyncpg import Record", "no_records_outside_db"),
        ("worker/tasks/leads.py", 'publish(Message("x"), "")', "messages_only_by_a_commit_or_a_follow_up"),
        ("api/app.py", 'celery.send_task("x")', "messages_only_by_a_commit_or_a_follow_up"),
        ("worker/tasks/leads.py", "sweep.delay()", "messages_only_by_a_commit_or_a_follow_up"),
    ],
)
def test_a_rule_finds_what_breaks_it(path: str, line: str, rule: str) -> None:
    (fault,) = _broken(path, line)
    place, named, _ = fault.split(": ", 2)
    assert named == rule
    assert place.startswith(f"{path}:")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("db/intake/inbox.py", 'x = "SELECT id FROM inbox"'),
        ("db/core/locks.py", 'x = "SELECT pg_advisory_lock($1) FOR UPDATE"'),
        ("db/core/dump.py", 'x = "INSERT INTO a VALUES (1) ON CONFLICT DO UPDATE SET b = 1"'),
        ("scripts/dev/bench/ledger.py", 'x = "SELECT count(*) FROM leads"'),
        ("scripts/cli/app.py", '"""SELECT is how a docstring may begin."""'),
        ("scripts/cli/app.py", 'x = "Select a partner"'),
        ("api/state.py", "self._policies = 1"),
        ("tests/test_x.py", 'monkeypatch.setattr(module, "NAME", 1)'),
        ("tests/test_x.py", 'monkeypatch.setattr(type(value), "__len__", fail)'),
        ("tests/world.py", "self._partners = {}"),
        ("billing/rates.py", "CARDS = {}\ndef f(CARDS):\n    CARDS[1] = 2"),
        ("billing/rates.py", "def f():\n    cards = {}\n    cards[1] = 2"),
        ("db/core/unit_of_work.py", "publish(message, request_id)"),
        ("worker/follow_up.py", "publish(message, request_id)"),
        ("db/masters/products.py", "def f(row: asyncpg.Record): ..."),
    ],
)
def test_what_keeps_the_rules_is_not_found(path: str, line: str) -> None:
    assert _broken(path, line) == []


def test_a_line_may_break_a_rule_with_a_reason() -> None:
    assert _broken("api/x.py", 'x = "SELECT 1"  # allowed: it is the name of a button') == []
    assert _broken("api/x.py", "# allowed: it is the name of a button", 'x = "SELECT 1"') == []
    assert len(_broken("api/x.py", 'x = "SELECT 1"  # allowed: ')) == 1
    assert len(_broken("api/x.py", "# allowed: too far away", "", 'x = "SELECT 1"')) == 1


def test_nothing_breaks_a_house_rule(capsys: pytest.CaptureFixture[str]) -> None:
    status = house_rules.main()
    assert (status, capsys.readouterr().out) == (0, "")


def test_the_check_command_asks_for_the_house_rules() -> None:
    step = 'step "house rules" "$bin/python" -m scripts.dev.house_rules\n'
    assert step in (house_rules.ROOT / "scripts/check").read_text()
