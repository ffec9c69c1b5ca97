import pytest

from compose.healthy import role_of


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("python -m api --interface asgi --log-config api/granian_logs.json --workers 2 api.app:create_app", "api"),
        ("/sbin/docker-init -- sh /app/compose/start api", "api"),
        ("python -m worker.command worker.app worker --queues leads,leadger", "worker"),
        ("python -m worker.command worker.app worker --queues background", "background"),
        ("/sbin/docker-init -- sh /app/compose/start background", "background"),
        ("/sbin/docker-init -- sh /app/compose/start worker --concurrency 4", "worker"),
        ("python -m worker.command worker.app beat --pidfile=", "beat"),
        ("/opt/venv/bin/python /opt/venv/bin/celery -A worker.app flower", "flower"),
        ("/sbin/docker-init -- sh /app/compose/start flower", "flower"),
        ("alembic upgrade head", None),
        ("sh", None),
    ],
)
def test_the_role_is_read_from_the_command_line(command: str, role: str | None) -> None:
    assert role_of([*command.split(), ""]) == role
