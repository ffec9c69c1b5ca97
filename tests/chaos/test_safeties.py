"""Each safety taken away: what it protects from happens."""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from scripts.dev.chaos import trees
from scripts.dev.chaos.deliveries import messages
from scripts.dev.chaos.judgement import judge
from scripts.dev.chaos.load import Stuck
from scripts.dev.chaos.scene import Scene, opened_scene
from scripts.dev.chaos.schedules import post_unheard
from scripts.dev.chaos.stack import running_stack


@pytest.mark.slow
def test_without_the_sweeper_a_lost_message_leaves_leads_waiting(tmp_path: Path) -> None:
    with (
        running_stack(tmp_path / "home", app="tests.chaos.without_sweeper") as stack,
        opened_scene(stack, times=1, seed=1, name="sweeper") as scene,
    ):
        batch_id = post_unheard(scene)
        time.sleep(3 * stack.sweep_interval_s)
        _is_lost(scene, batch_id)
        _sweep(scene, batch_id)


@pytest.mark.slow
def test_with_late_acks_a_message_outlives_its_worker(tmp_path: Path) -> None:
    # No beat, so no sweeper: only the message can bring the batch to another child.
    with (
        running_stack(tmp_path / "home", parts=("worker", "api")) as stack,
        opened_scene(stack, times=1, seed=1, name="late") as scene,
    ):
        scene.sender.wait_until_done(_killed_in_the_middle(scene))
        assert judge(stack, scene.world, scene.history, seed=1).lost == 0


@pytest.mark.slow
def test_without_late_acks_a_message_dies_with_its_worker(tmp_path: Path) -> None:
    with (
        running_stack(tmp_path / "home", app="tests.chaos.without_late_acks", parts=("worker", "api")) as stack,
        opened_scene(stack, times=1, seed=1, name="early") as scene,
    ):
        batch_id = _killed_in_the_middle(scene)
        with pytest.raises(Stuck):
            scene.sender.wait_until_done(batch_id, timeout_s=10)
        _is_lost(scene, batch_id)
        _sweep(scene, batch_id)


@pytest.mark.slow
def test_background_tasks_run_while_leads_keep_coming(tmp_path: Path) -> None:
    with (
        running_stack(tmp_path / "home", app="tests.chaos.slow_worker") as stack,
        opened_scene(stack, times=1, seed=1, name="time slices") as scene,
    ):
        with scene.load():
            time.sleep(2)  # both children are at work, and the inbox is never empty
            rebuild = {"partner": scene.world.partners[0].name, "period": "2024-04"}
            task = scene.client.post("/billing/reports/rebuild", rebuild)
            assert scene.client.wait_for(task["status_url"], timeout_s=45)["state"] == "done"
        scene.drain()
        assert judge(stack, scene.world, scene.history, seed=1).wrong_totals == 0


def _is_lost(scene: Scene, batch_id: str) -> None:
    """The batch still waits, and the oracle complains."""
    assert scene.client.get(f"/leads/batches/{batch_id}")["state"] == "waiting"
    assert judge(scene.place, scene.world, scene.history, seed=1).lost > 0


def _sweep(scene: Scene, batch_id: str) -> None:
    """With the sweeper all is well again."""
    with messages(scene.place) as celery:
        celery.send_task("leads.sweep")
    scene.sender.wait_until_done(batch_id)
    judgement = judge(scene.place, scene.world, scene.history, seed=1)
    assert (judgement.lost, judgement.wrong_totals) == (0, 0), judgement.details


def _killed_in_the_middle(scene: Scene) -> str:
    """Post a batch whose worker is killed while it works on it; nothing of its transaction is left."""
    with _customers_locked(scene):
        batch_id = scene.sender.post(scene.world.leads(20))
        deadline = time.monotonic() + 25
        while not scene.fetchval(f"SELECT count(*) FROM {_WORKERS} AND wait_event_type = 'Lock'"):
            assert time.monotonic() < deadline, "no worker came to the lock"
            time.sleep(0.05)
        children = trees.wait_for("worker").below
        trees.send(children, signal.SIGSTOP)  # so that it does not see its connection end
        scene.fetchval(f"SELECT count(pg_terminate_backend(pid)) FROM {_WORKERS}")
        trees.send(children, signal.SIGKILL)
    return batch_id


_WORKERS = "pg_stat_activity WHERE application_name = 'leadger-worker'"


@contextmanager
def _customers_locked(scene: Scene) -> Iterator[None]:
    """Every batch comes to a stop in the middle of its transaction during the block."""
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(scene.place.database_url))
        try:
            runner.run(connection.execute("BEGIN; LOCK TABLE customer_states IN ACCESS EXCLUSIVE MODE"))
            yield
        finally:
            runner.run(connection.close())
