"""Who accepts goes before who decides, and that before background tasks, where all cores are busy."""

import os
import subprocess
import sys

import pytest

from db.tasks.notifications import BACKGROUND, LEADS

_PROGRAM = """
import os
from celery.signals import celeryd_after_setup
from worker.app import app
app.amqp.queues.select({queues})
celeryd_after_setup.send(sender=None, instance=type("Worker", (), {{"app": app}})())
print(os.nice(0))
"""


@pytest.mark.parametrize(
    ("queues", "lower_by"), [([BACKGROUND], 10), ([LEADS, "leadger"], 5), ([LEADS, BACKGROUND], 5)]
)
def test_a_worker_starts_with_a_lower_priority_than_the_door(queues: list[str], lower_by: int) -> None:
    program = _PROGRAM.format(queues=queues)
    env = os.environ | {"DATABASE_URL": "postgresql://127.0.0.1:1/nobody", "REDIS_URL": "redis://127.0.0.1:1"}
    shown = subprocess.check_output([sys.executable, "-c", program], env=env, text=True)
    assert int(shown) == min(os.nice(0) + lower_by, 19)
