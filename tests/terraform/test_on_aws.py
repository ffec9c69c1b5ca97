"""scripts/on-aws, with programs that play Terraform and AWS: what it asks them for, and what it says on failure."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_TASK = "arn:aws:ecs:eu-central-1:123456789012:task/leadger-production/4711"
# Each writes down how it was called and where, fails where FAIL stands in the call, and answers what is asked. A task
# is on its way when it is first asked for.
_PLAYED = f"""#!/usr/bin/env bash
call="$(basename "$0") $*"
echo "${{AWS_REGION:-}} $call" >>"$CALLS"
if [[ -n ${{FAIL:-}} && "$call" == *"$FAIL"* ]]; then echo "it broke: $FAIL" >&2; exit 1; fi
asked=$(grep -c describe-tasks "$CALLS" || true)
case "$call" in
    *"output -json"*) echo '{{"cluster":"leadger-production","launchType":"FARGATE",'\
'"taskDefinition":"arn:aws:ecs:eu-central-1:123456789012:task-definition/leadger-production-console:3"}}' ;;
    *run-task*) echo -e "${{STARTED:-{_TASK}\\tNone}}" ;;
    *describe-tasks*)
        if [[ $asked -lt 3 ]]; then echo -e "PENDING\\tPENDING\\tNone\\tNone"; else echo -e "$THEN"; fi ;;
    *get-log-events*) echo '{{"event": "migrated"}}' ;;
    *execute-command*) echo a-key ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    for folder in ("scripts", "bin"):
        (tmp_path / folder).mkdir()
    shutil.copy(_ROOT / "scripts/on-aws", tmp_path / "scripts/on-aws")
    for name in ("aws", "terraform", "session-manager-plugin"):
        (tmp_path / "bin" / name).write_text(_PLAYED)
        (tmp_path / "bin" / name).chmod(0o755)
    for tool in ("bash", "dirname", "basename", "grep", "sleep"):
        program = shutil.which(tool)
        assert program is not None
        (tmp_path / "bin" / tool).symlink_to(program)
    return tmp_path


def _on_aws(checkout: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    (checkout / "calls").write_text("")
    fixed = {"PATH": str(checkout / "bin"), "CALLS": str(checkout / "calls"), "LEADGER_ASK_AGAIN_S": "0"}
    command = [str(checkout / "scripts/on-aws"), *words]
    return subprocess.run(command, env=fixed | env, capture_output=True, text=True, check=False, timeout=60)


def _calls(checkout: Path) -> list[list[str]]:
    """The region and the words of each call."""
    return [line.split(" ") for line in (checkout / "calls").read_text().splitlines()]


_ENDED = "STOPPED\tNone\t0\tEssential container in task exited"
_OPEN = "RUNNING\tRUNNING\tNone\tNone"


def test_a_migration_shows_its_log_and_ends_when_it_has_ended(checkout: Path) -> None:
    done = _on_aws(checkout, "migrate", THEN=_ENDED)
    assert (done.returncode, done.stdout) == (0, '{"event": "migrated"}\n'), done.stderr
    assert done.stderr == "leadger: the migration runs in leadger-production as 4711\n"
    output, run, *asked, log = _calls(checkout)
    assert output[1:] == "terraform -chdir=terraform/environments/aws output -json migrate_run".split()
    assert run[:4] == ["eu-central-1", "aws", "ecs", "run-task"]
    overrides = " ".join(run)[" ".join(run).index('{"containerOverrides"') :].partition(" --output")[0]
    assert json.loads(overrides) == {
        "containerOverrides": [{"name": "migrate", "command": ["migrate", "--application-login"]}]
    }
    assert len(asked) == 3
    assert " ".join(log[2:7]) == "logs get-log-events --log-group-name /leadger-production/migrate --log-stream-name"
    assert log[7] == "migrate/migrate/4711"


def test_a_rotation_is_a_migration_with_one_word_more(checkout: Path) -> None:
    assert _on_aws(checkout, "migrate", "--rotate", THEN=_ENDED).returncode == 0
    assert '"command": ["migrate", "--application-login", "--rotate"]' in (checkout / "calls").read_text()


@pytest.mark.parametrize(
    ("then", "said"),
    [
        ("STOPPED\tNone\t1\tEssential container exited", "ended with status 1: Essential container exited"),
        (
            "STOPPED\tNone\tNone\tResourceInitializationError: x",
            "ended with status None: ResourceInitializationError: x",
        ),
    ],
)
def test_a_migration_that_fails_is_a_failure(checkout: Path, then: str, said: str) -> None:
    done = _on_aws(checkout, "migrate", THEN=then)
    assert done.returncode == 1
    assert done.stderr.endswith(f"leadger: The migration {said}\n")
    assert done.stdout == '{"event": "migrated"}\n'


def test_the_end_of_a_migration_that_wrote_no_log_is_told_all_the_same(checkout: Path) -> None:
    assert _on_aws(checkout, "migrate", THEN=_ENDED, FAIL="get-log-events").returncode == 0


def test_a_console_runs_the_command_and_ends_with_it(checkout: Path) -> None:
    done = _on_aws(checkout, "leadger", "keys", "create", "me", "--first", THEN=_OPEN)
    assert (done.returncode, done.stdout) == (0, "a-key\n"), done.stderr
    calls = [" ".join(words) for words in _calls(checkout)]
    assert calls[0].endswith("output -json console_run")
    where = f"--cluster leadger-production --task {_TASK}"
    assert calls[-2:] == [
        f"eu-central-1 aws ecs execute-command {where} --container console --interactive"
        " --command leadger keys create me --first",
        f"eu-central-1 aws ecs stop-task {where}",
    ]


@pytest.mark.parametrize("fail", ["describe-tasks", "execute-command"])
def test_a_console_ends_also_if_something_fails(checkout: Path, fail: str) -> None:
    done = _on_aws(checkout, "bash", THEN=_OPEN, FAIL=fail)
    assert done.returncode == 1
    assert f"it broke: {fail}" in done.stderr
    assert _calls(checkout)[-1][2:4] == ["ecs", "stop-task"]


def test_a_console_that_does_not_start_says_why(checkout: Path) -> None:
    done = _on_aws(checkout, "bash", THEN="STOPPED\tNone\tNone\tCannotPullContainerError: no tag")
    assert done.returncode == 1
    assert done.stderr.endswith("leadger: The console did not start: CannotPullContainerError: no tag\n")


@pytest.mark.parametrize(
    ("words", "env", "said"),
    [
        ((), {}, "Say what to run: migrate, leadger with its command, or bash."),
        (("leadger", "a b"), {}, "'a b' would not arrive as it is typed; open a shell with `scripts/on-aws bash`"),
        (("leadger", "$x"), {}, "'$x' would not arrive as it is typed;"),
        (("migrate",), {"FAIL": "output"}, "Terraform does not tell where Leadger is;"),
        (("migrate",), {"FAIL": "run-task"}, "AWS did not start the task; the reason stands above."),
        (("bash",), {"STARTED": "None\tRESOURCE:FARGATE"}, "AWS did not start the task: RESOURCE:FARGATE."),
        (("migrate",), {"FAIL": "describe-tasks"}, "AWS does not tell how the task does: arn:"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    checkout: Path, words: tuple[str, ...], env: dict[str, str], said: str
) -> None:
    done = _on_aws(checkout, *words, THEN=_OPEN, **env)
    assert done.returncode == 1
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("leadger: ") and said in line]
    assert done.stderr.splitlines().index(sentence) >= len(done.stderr.splitlines()) - 1
    assert not any("execute-command" in words for words in _calls(checkout))


@pytest.mark.parametrize("tool", ["terraform", "aws", "session-manager-plugin"])
def test_what_is_missing_is_said_before_anything_is_done(checkout: Path, tool: str) -> None:
    (checkout / "bin" / tool).unlink()
    done = _on_aws(checkout, "bash", THEN=_OPEN)
    assert done.returncode == 1
    assert f"leadger: {tool} is needed and was not found; install " in done.stderr
    assert _calls(checkout) == []
