"""Which queue each message goes to, and that workers of any kind find it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import redis

from db.core.settings import Settings
from db.core.unit_of_work import Message
from db.tasks.notifications import (
    BACKGROUND,
    FORMER_NAMES,
    LEADS,
    LEGACY,
    PROCESS_LEADS,
    ROUTES,
    RUN_SUBTASKS,
    RUN_TASK,
    Notifier,
)

_APP = """
import json
from worker.app import app
app.loader.import_default_modules()
tasks = [name for name in app.tasks if not name.startswith("celery.")]
print(json.dumps({"tasks": sorted(tasks), "queues": sorted(app.amqp.queues.consume_from)}))
"""


@pytest.fixture
def app(settings: Settings) -> dict[str, Any]:
    """What a worker has whose command names no queue."""
    env = os.environ | {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
    ran = subprocess.run([sys.executable, "-c", _APP], env=env, check=True, capture_output=True, text=True)
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


@pytest.fixture
def valkey(settings: Settings) -> Iterator["redis.Redis"]:
    with redis.Redis.from_url(settings.redis_url) as connection:
        connection.flushdb()
        yield connection
        connection.flushdb()


def test_every_task_has_a_queue_and_a_worker_without_a_word_takes_from_all(app: dict[str, Any]) -> None:
    tasks = sorted([*ROUTES, *FORMER_NAMES])
    assert app == {"tasks": tasks, "queues": sorted([LEADS, BACKGROUND, LEGACY])}


@pytest.mark.parametrize(
    ("task", "key"),
    [(PROCESS_LEADS, b"leads\x06\x169"), (RUN_TASK, b"background"), (RUN_SUBTASKS, b"background\x06\x169")],
)
def test_leads_and_background_tasks_do_not_wait_for_each_other(
    settings: Settings, valkey: "redis.Redis", task: str, key: bytes
) -> None:
    """Priority 9 is the last one on Redis."""
    notifier = Notifier(settings)
    notifier.publish(Message(task, ("1",)), "request")
    notifier.close()
    assert [each for each in valkey.scan_iter() if valkey.type(each) == b"list"] == [key]


_RUN_BY_FORMER_NAME = """
import json
from worker import process
from worker.app import app
from worker.tasks import background
app.loader.import_default_modules()
ran = []
process.run = lambda work: ran.append(work.__name__) or False
for name in ("quarantine.replay", "retention.forget"):
    app.tasks[name].run()
app.tasks["tasks.help"].run("a", "b")
print(json.dumps(ran))
"""


def test_messages_of_older_releases_do_what_they_did(settings: Settings) -> None:
    env = os.environ | {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
    program = [sys.executable, "-c", _RUN_BY_FORMER_NAME]
    ran = subprocess.run(program, env=env, check=True, capture_output=True, text=True)
    assert json.loads(ran.stdout) == ["empty_quarantine", "delete_old", "<lambda>"]
