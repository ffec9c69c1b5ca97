"""`leadger migrate`, as the deployment runs it: an administrator like that of RDS, and a real server of secrets."""

import asyncio
import base64
import itertools
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import boto3
import pytest
from botocore.exceptions import ClientError
from moto.server import ThreadedMotoServer
from typer.testing import CliRunner

from db.core import locks
from db.core.scram import verifier_from_password
from scripts.cli.app import app
from scripts.client import Client
from scripts.errors import CannotStart
from scripts.local.embedded.ports import free_port
from scripts.operations.migration.secret import Secret
from scripts.samples.sample_leads import load
from tests.databases import execute
from tests.s3 import bucket_in_s3
from tests.stack import running_stack

REGION = "eu-central-1"
COMMAND = ("migrate", "--application-login")
ADMIN_PASSWORD = "a/b:c@d#e?f[g]%20"  # what RDS may make, and what a URL must not take for its own
_ANN = "INSERT INTO customers (id, external_id, name, email) SELECT gen_random_uuid(), '', 'A', ''"
_numbers = itertools.count(1)


@dataclass
class Deployment:
    """A database with an administrator that is no superuser, and the secret of the application login."""

    environment: dict[str, str]
    server_url: str
    secrets: Any
    secret: str

    @property
    def name(self) -> str:
        return self.environment["LEADGER_DATABASE_NAME"]

    @property
    def admin_url(self) -> str:
        return self.url_of("LEADGER_DATABASE_ADMIN_USER", quote(ADMIN_PASSWORD, safe=""))

    def url_of(self, user: str, password: str) -> str:
        parts = urlsplit(self.server_url)
        login = self.environment.get(user, user)
        return f"postgresql://{login}:{password}@{parts.hostname}:{parts.port}/{self.name}?sslmode=disable"

    def value(self) -> str:
        """What is in the secret."""
        value: str = self.secrets.get_secret_value(SecretId=self.secret)["SecretString"]
        return value

    def versions(self) -> int:
        """How often the secret was written."""
        return len(self.secrets.list_secret_version_ids(SecretId=self.secret, IncludeDeprecated=True)["Versions"])

    def migrate(self, *words: str, status: int = 0, **changed: str | None) -> str:
        """Run the command in the environment of the task; what it said."""
        environment = {name: None for name in os.environ if name.startswith(("LEADGER_", "AWS_"))}
        result = CliRunner().invoke(app, [*COMMAND, *words], env=environment | self.environment | changed)
        assert result.exit_code == status, result.output
        if status:
            assert result.stdout == ""
            assert result.stderr.startswith("leadger: ")
            assert result.stderr.count("\n") == 1, result.stderr
            assert ADMIN_PASSWORD not in result.stderr
        return result.stderr if status else result.stdout


@pytest.fixture(scope="module")
def aws() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", free_port(), verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def deployment(aws: str, server_url: str) -> Iterator[Deployment]:
    name = f"deployment_{next(_numbers)}"
    execute(server_url, f"CREATE ROLE {name}_admin LOGIN CREATEROLE CREATEDB PASSWORD '{ADMIN_PASSWORD}'")
    execute(server_url, f"CREATE DATABASE {name} OWNER {name}_admin")
    secrets = boto3.client(
        "secretsmanager", REGION, endpoint_url=aws, aws_access_key_id="test", aws_secret_access_key="test"
    )
    arn = secrets.create_secret(Name=f"{name}/database-url")["ARN"]
    parts = urlsplit(server_url)
    environment = {
        "LOG_LEVEL": "INFO",
        "LEADGER_DATABASE_HOST": str(parts.hostname),
        "LEADGER_DATABASE_PORT": str(parts.port),
        "LEADGER_DATABASE_NAME": name,
        "LEADGER_DATABASE_SSLMODE": "disable",
        "LEADGER_DATABASE_ADMIN_USER": f"{name}_admin",
        "LEADGER_DATABASE_ADMIN_PASSWORD": ADMIN_PASSWORD,
        "LEADGER_APPLICATION_LOGIN_SECRET_ARN": arn,
        "AWS_ENDPOINT_URL": aws,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }
    deployment = Deployment(environment, server_url, secrets, arn)
    yield deployment
    execute(server_url, f"DROP DATABASE {name} WITH (FORCE)")
    for role in ("application_a", "application_b", "application", "admin"):
        execute(server_url, f"DROP ROLE IF EXISTS {name}_{role}")


def ask(url: str, query: str, *arguments: object) -> Any:
    """One value, as the login of the URL."""

    async def run() -> Any:
        connection = await asyncpg.connect(url)
        try:
            return await connection.fetchval(query, *arguments)
        finally:
            await connection.close()

    return asyncio.run(run())


def works(url: str) -> bool:
    try:
        return bool(ask(url, "SELECT count(*) >= 0 FROM actions"))
    except asyncpg.InvalidPasswordError:
        return False


def user_of(url: str) -> str:
    return str(urlsplit(url).username)


def test_it_migrates_and_puts_a_login_into_the_secret(deployment: Deployment) -> None:
    said = deployment.migrate()
    login = f"{deployment.name}_application_a"
    assert said == f"The schema is the newest. The login {login} is in the secret now; replace the tasks.\n"
    url = deployment.value()
    parts = urlsplit(url)
    assert (parts.scheme, parts.username, parts.path, parts.query) == (
        "postgresql",
        login,
        f"/{deployment.name}",
        "sslmode=disable",
    )
    assert len(str(parts.password)) >= 40
    assert works(url)


def test_a_second_run_changes_nothing_while_the_login_works(deployment: Deployment) -> None:
    deployment.migrate()
    before = deployment.value()
    said = deployment.migrate()
    assert said == f"The schema is the newest. The login {user_of(before)} is in the secret and works.\n"
    assert (deployment.value(), deployment.versions()) == (before, 1)


def test_a_rotation_leaves_the_login_before_until_the_next_one(deployment: Deployment) -> None:
    deployment.migrate()
    urls = [deployment.value()]
    for _ in range(3):
        deployment.migrate("--rotate")
        urls.append(deployment.value())
        assert works(urls[-1])
        assert works(urls[-2])  # the tasks that run hold this one
        assert not any(works(url) for url in urls[:-2])
    assert [user_of(url)[-1] for url in urls] == ["a", "b", "a", "b"]


@pytest.mark.parametrize(
    "harm",
    [
        "ALTER ROLE {group}_a PASSWORD 'another'",
        "ALTER ROLE {group}_a NOLOGIN",
        "REVOKE {group} FROM {group}_a",
        "DROP ROLE {group}_a",
    ],
)
def test_a_login_that_does_not_work_is_mended(deployment: Deployment, harm: str) -> None:
    deployment.migrate()
    before = deployment.value()
    ask(deployment.admin_url, harm.format(group=f"{deployment.name}_application"))
    deployment.migrate()
    after = deployment.value()
    assert after != before
    assert user_of(after) == user_of(before)
    assert works(after)


@pytest.mark.parametrize("value", ["nonsense", "http://[", "postgresql://leadger:x@127.0.0.1/x"])
def test_whatever_else_is_in_the_secret_is_replaced(deployment: Deployment, value: str) -> None:
    deployment.secrets.put_secret_value(SecretId=deployment.secret, SecretString=value)
    deployment.migrate()
    assert works(deployment.value())


def test_a_database_that_moved_keeps_its_login(deployment: Deployment) -> None:
    """After a restore into another instance only the host is another one."""
    deployment.migrate()
    url = deployment.value()
    port = str(urlsplit(url).port)
    deployment.secrets.put_secret_value(SecretId=deployment.secret, SecretString=url.replace(f":{port}/", ":1/"))
    deployment.migrate()
    assert deployment.value() == url


def test_a_database_that_lets_nobody_in_is_no_reason_for_another_password(deployment: Deployment) -> None:
    """Failed before: too many connections, or a database that is starting, say nothing about the password."""
    deployment.migrate()
    before = deployment.value()
    login = user_of(before)
    execute(deployment.server_url, f"ALTER ROLE {login} CONNECTION LIMIT 0")
    assert "too many connections" in deployment.migrate(status=1)
    execute(deployment.server_url, f"ALTER ROLE {login} CONNECTION LIMIT -1")
    assert (deployment.value(), deployment.versions()) == (before, 1)
    assert works(before)


def test_two_at_the_same_time_leave_one_login_that_works(deployment: Deployment) -> None:
    command = [sys.executable, "-m", "scripts.cli", *COMMAND]
    both = [
        subprocess.Popen(command, env=deployment.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    shown = [process.communicate(timeout=60) for process in both]
    assert [process.returncode for process in both] == [0, 0], shown
    assert works(deployment.value())
    assert deployment.versions() == 1


def test_it_waits_for_another_migration(deployment: Deployment) -> None:
    async def run() -> float:
        holder = await asyncpg.connect(deployment.admin_url)
        try:
            await locks.lock_schema_exclusive(holder)
            began = time.monotonic()
            waiting = asyncio.create_task(asyncio.to_thread(deployment.migrate))
            await asyncio.sleep(2)
            assert not waiting.done()
            await holder.close()
            await waiting
            return time.monotonic() - began
        finally:
            await holder.close()

    assert asyncio.run(run()) >= 2


def test_the_login_reads_and_writes_rows_and_can_do_nothing_else(deployment: Deployment) -> None:
    deployment.migrate()
    url = deployment.value()
    rights = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER")
    allowed = json.loads(
        ask(
            url,
            """
            SELECT json_object_agg(relname, (
                SELECT json_agg(name) FROM unnest($1::text[]) AS name WHERE has_table_privilege(pg_class.oid, name)
            )) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
            """,
            rights,
        )
    )
    assert len(allowed) > 20
    assert allowed.pop("alembic_version") == ["SELECT"]
    assert set(map(tuple, allowed.values())) == {("SELECT", "INSERT", "UPDATE", "DELETE")}
    attributes = "rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
    assert not ask(url, f"SELECT bool_or({attributes}) FROM pg_roles WHERE rolname LIKE $1", f"{deployment.name}_app%")
    assert not ask(url, "SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", f"{deployment.name}_application")
    for statement in (
        "DROP TABLE actions",
        "ALTER TABLE actions ADD COLUMN more text",
        "ALTER TABLE actions DISABLE TRIGGER ALL",
        "ALTER TABLE actions DISABLE TRIGGER actions_update_frozen_before",
        "SET session_replication_role = replica",
        "DROP TRIGGER actions_update_frozen_before ON actions",
        "ALTER FUNCTION refuse_frozen_verdicts() RENAME TO forgotten",
        "DROP FUNCTION refuse_frozen_verdicts() CASCADE",
        "ALTER TABLE actions DROP CONSTRAINT ck_actions_verdict",
        "TRUNCATE actions CASCADE",
        "CREATE TABLE more (x int)",
        "UPDATE alembic_version SET version_num = 'x'",
        f"CREATE ROLE {deployment.name}_more",
        f"GRANT {deployment.name}_admin TO CURRENT_USER",
        f"ALTER ROLE {deployment.name}_application_a SUPERUSER",
        f"SET ROLE {deployment.name}_admin",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            ask(url, statement)


def test_tables_and_sequences_to_come_are_granted(deployment: Deployment) -> None:
    deployment.migrate()
    ask(deployment.admin_url, "CREATE TABLE later (id bigint GENERATED BY DEFAULT AS IDENTITY, n int)")
    ask(deployment.admin_url, "CREATE SEQUENCE later_still")
    assert ask(deployment.value(), "INSERT INTO later (n) VALUES (1) RETURNING id") == 1
    assert ask(deployment.value(), "SELECT nextval('later_still')") == 1


def test_no_password_is_in_any_log(deployment: Deployment, server_url: str) -> None:
    """RDS writes every CREATE ROLE and ALTER ROLE into a log that many may read."""
    execute(server_url, f"ALTER DATABASE {deployment.name} SET log_statement = 'all'")
    said = deployment.migrate() + deployment.migrate("--rotate")
    passwords = [str(urlsplit(deployment.value()).password), ADMIN_PASSWORD]
    folder = Path(ask(server_url, "SHOW data_directory"))
    log = folder.with_name(folder.name + ".log").read_text(errors="replace")
    assert f"CREATE ROLE {deployment.name}_application_b LOGIN PASSWORD 'SCRAM-SHA-256$4096:" in log
    for password in passwords:
        assert password not in log
        assert password not in said


def test_the_verifier_is_what_postgres_makes_of_the_password(server_url: str) -> None:
    async def run() -> tuple[str, str]:
        connection = await asyncpg.connect(server_url)
        try:
            async with connection.transaction():
                await connection.execute("CREATE ROLE scram_test LOGIN PASSWORD 'correct horse'")
                theirs = await connection.fetchval("SELECT rolpassword FROM pg_authid WHERE rolname = 'scram_test'")
                await connection.execute("DROP ROLE scram_test")
        finally:
            await connection.close()
        salt = base64.b64decode(theirs.split("$")[1].split(":")[1])
        return theirs, verifier_from_password("correct horse", salt)

    theirs, ours = asyncio.run(run())
    assert ours == theirs


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"LEADGER_DATABASE_HOST": None}, "LEADGER_DATABASE_HOST is not set; docs/operations.md lists"),
        ({"LEADGER_DATABASE_ADMIN_PASSWORD": None}, "LEADGER_DATABASE_ADMIN_PASSWORD is not set"),
        ({"LEADGER_APPLICATION_LOGIN_SECRET_ARN": None}, "LEADGER_APPLICATION_LOGIN_SECRET_ARN is not set"),
        ({"LEADGER_DATABASE_PORT": "five"}, "LEADGER_DATABASE_PORT cannot be used: Input should be a valid integer"),
        ({"LEADGER_DATABASE_SSLMODE": "off"}, "LEADGER_DATABASE_SSLMODE cannot be used: Input should be 'disable'"),
        ({"LEADGER_DATABASE_PORT": "1"}, "The database of LEADGER_DATABASE_HOST cannot be used: "),
        ({"LEADGER_DATABASE_ADMIN_PASSWORD": "wrong"}, "password authentication failed for user"),
        ({"LEADGER_DATABASE_NAME": "nowhere"}, 'database "nowhere" does not exist'),
        ({"LEADGER_DATABASE_SSLMODE": None}, "The database of LEADGER_DATABASE_HOST cannot be used: "),
        ({"LEADGER_APPLICATION_LOGIN_SECRET_ARN": "leadger"}, "is no ARN of a secret: 'leadger'."),
        (
            {"LEADGER_APPLICATION_LOGIN_SECRET_ARN": f"arn:aws:secretsmanager:{REGION}:123456789012:secret:none"},
            "cannot be read: An error occurred (ResourceNotFoundException)",
        ),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "cannot be read: Could not connect to the endpoint URL"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_EC2_METADATA_DISABLED": "true"}, "Unable to locate credentials"),
    ],
)
def test_each_failure_is_one_message(deployment: Deployment, changed: dict[str, str | None], said: str) -> None:
    assert said in deployment.migrate(status=1, **changed)
    with pytest.raises(ClientError):
        deployment.value()


def test_a_secret_that_cannot_be_written_leaves_the_tasks_as_they_are(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other login has its password already; the secret still names the one that works."""
    deployment.migrate()
    before = deployment.value()

    def refuse(_: Secret, __: str) -> None:
        raise CannotStart("It cannot be written.")

    with monkeypatch.context() as broken:
        broken.setattr(Secret, "write", refuse)
        assert deployment.migrate("--rotate", status=1) == "leadger: It cannot be written.\n"
    assert (deployment.value(), deployment.versions()) == (before, 1)
    assert works(before)
    deployment.migrate("--rotate")
    assert works(before)
    assert works(deployment.value())


def test_a_secret_that_is_about_to_be_deleted_is_reported(deployment: Deployment) -> None:
    deployment.secrets.delete_secret(SecretId=deployment.secret, RecoveryWindowInDays=7)
    assert "a secret that's currently marked deleted." in deployment.migrate(status=1)


def test_an_administrator_without_the_right_to_make_roles_is_reported(deployment: Deployment) -> None:
    execute(deployment.server_url, f"ALTER ROLE {deployment.name}_admin NOCREATEROLE")
    assert "permission denied to create role" in deployment.migrate(status=1)


def test_without_options_it_migrates_the_database_of_database_url(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(*words: str) -> Any:
        return CliRunner().invoke(app, ["migrate", *words])

    monkeypatch.delenv("DATABASE_URL", raising=False)
    assert run().stderr.startswith("leadger: Name the database to migrate with DATABASE_URL;")
    assert run("--rotate").stderr == "leadger: --rotate goes with --application-login.\n"
    monkeypatch.setenv("DATABASE_URL", deployment.admin_url)
    first, second = run(), run()
    assert (first.stdout, second.stdout) == ("The schema is the newest.\n", "The schema is the newest.\n")
    links = [
        re.findall(r"makes the first Admin, once: http://127.0.0.1:8000/welcome\?token=(\S+)", each.stderr)
        for each in (first, second)
    ]
    assert [len(each) for each in links] == [1, 1]
    assert links[0] != links[1]
    ask(deployment.admin_url, "UPDATE alembic_version SET version_num = 'of a later release'")
    assert "cannot be migrated by this release: Can't locate revision" in run().stderr


def test_it_takes_a_backup_that_the_administrator_restores(deployment: Deployment, tmp_path: Path) -> None:
    """No superuser is needed: the one may read, the other owns the tables."""

    def run(url: str, *words: str) -> Any:
        return CliRunner().invoke(app, list(words), env={"DATABASE_URL": url, "LEADGER_HOME": str(tmp_path)})

    async def while_a_worker_is_connected() -> Any:
        worker = await asyncpg.connect(deployment.value(), server_settings={"application_name": "leadger-background"})
        try:
            return await asyncio.to_thread(run, deployment.admin_url, "restore", taken, "--replace")
        finally:
            await worker.close()

    deployment.migrate()
    ask(deployment.value(), _ANN)
    done = run(deployment.value(), "backup", str(tmp_path / "backups"), "--json")
    assert done.exit_code == 0, done.stderr
    taken = json.loads(done.stdout)["backup"]
    refused = run(deployment.value(), "restore", taken, "--replace")
    assert re.fullmatch(r"leadger: The database broke off: must be owner of table [a-z_]+\.\n", refused.stderr)
    assert asyncio.run(while_a_worker_is_connected()).stderr == (
        "leadger: Leadger works on this database: stop API and workers first.\n"
    )
    restored = run(deployment.admin_url, "restore", taken, "--replace")
    assert restored.exit_code == 0, restored.stderr
    assert ask(deployment.value(), "SELECT name FROM customers") == "A"
    assert works(deployment.value())  # what is granted once is granted to the tables that come back, too


@pytest.mark.slow
def test_on_aws_the_migrate_task_restores_what_another_one_backed_up(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With what Terraform gives each: this one the administrator, that one the application's login, both the bucket."""

    def run(environment: dict[str, str], *words: str) -> str:
        shown = {"LEADGER_HOME": str(tmp_path / words[0]), "LEADGER_REPORT_FILES_URL": f"s3://{bucket}/reports"}
        unset = dict.fromkeys(("DATABASE_URL", *(name for name in deployment.environment if "DATABASE" in name)))
        result = CliRunner().invoke(app, list(words), env=unset | shown | environment)
        assert result.exit_code == 0, result.stderr
        return result.stdout

    deployment.migrate()
    ask(deployment.value(), _ANN)
    administrator = {
        name: value for name, value in deployment.environment.items() if "DATABASE" in name or "ARN" in name
    }
    with bucket_in_s3(monkeypatch, "leadger-reports") as bucket:
        taken = json.loads(run({"DATABASE_URL": deployment.value()}, "backup", f"s3://{bucket}/backups", "--json"))
        ask(deployment.value(), "DELETE FROM customers")
        said = run(administrator, "restore", taken["backup"], "--replace")
        assert "counters and digests are what they were" in " ".join(said.split())
    deployment.migrate()
    assert ask(deployment.value(), "SELECT name FROM customers") == "A"


def test_the_samples_are_billed_by_the_application_login(
    deployment: Deployment, redis_url: str, tmp_path: Path
) -> None:
    """API, worker and beat with nothing but the secret; the rules that the database keeps hold for this login, too."""
    deployment.migrate()
    url = deployment.value()
    with running_stack(url, redis_url, tmp_path / "home") as stack, Client(stack.url, stack.key) as client:
        load(client)
        (april,) = client.pages("/billing/reports", partner="acme", period="2024-04")
        assert (april["totals"]["billed"], april["totals"]["savings"]) == ("100.00", "94.00")
        closing = client.post("/api/partners/acme/periods/2024-04/close", {})
        assert client.wait_for(closing["status_url"], timeout_s=30)["result"]["closed"] is True
        rebuilt = client.post("/billing/reports/rebuild", {"partner": "acme", "period": "2024-04"})
        assert client.wait_for(rebuilt["status_url"], timeout_s=30)["result"]["counters_corrected"] == 0
        with pytest.raises(asyncpg.CheckViolationError, match="a verdict of a closed period never changes"):
            ask(url, "UPDATE actions SET billed_minor = 0, outcome = 'duplicate' WHERE billing_period = 202404")
        with pytest.raises(asyncpg.CheckViolationError):
            ask(url, "DELETE FROM actions")
        assert "permission denied" not in "".join(log.read_text() for log in stack.home.glob("*.log"))
