"""Rebuild, close and reopen while leads keep coming.

The leads of the load lie in months that stay open, so their verdicts do not depend on the moment at which a month is
closed. The leads of the closed month are sent between two events and waited for, so the client knows on which side of
an event each of them was decided, and the oracle lives through both in the same order.
"""

import signal
import time

from scripts.dev.chaos import trees
from scripts.dev.chaos.load import Stuck
from scripts.dev.chaos.scene import Scene
from scripts.dev.chaos.world import Partner

_MONTHS = (1, 2, 3)
_LEADS = 30
_SHARED_LEADS = 150
_TASK_S = 120.0
_SPOIL = """
    WITH spoilt AS (
        UPDATE customer_periods SET gross_minor = gross_minor + 7, billed_minor = billed_minor + 7
        WHERE partner_id = (SELECT id FROM partners WHERE external_id = $1) AND period = 202404 RETURNING true
    ) SELECT count(*) FROM spoilt
"""
_RUNNING_SUBTASKS = "SELECT count(*) FROM tasks WHERE kind = 'rebuild_range' AND state = 'running'"


def events(scene: Scene) -> None:
    """For as many rounds as there are months: leads, close, late leads, rebuild, reopen, leads, close again."""
    partners = scene.world.partners[:2]
    with scene.load():
        for month in _MONTHS[: scene.times]:
            period = f"2024-{month:02d}"
            for partner in partners:
                _send(scene, partner, month)
                _close(scene, partner, period)
                _send(scene, partner, month)  # late: billed in the next month
                _rebuild(scene, partner, "2024-04")
                _reopen(scene, partner, period)
                _send(scene, partner, month)
                _close(scene, partner, period)
                scene.recover()


def rebuild_killed(scene: Scene) -> None:
    """SIGKILL to a child of the background worker while two of them rebuild a report whose counters are wrong."""
    partner = scene.world.partners[0]
    report = {"partner": partner.name, "period": "2024-04"}
    leads = scene.world.leads(_SHARED_LEADS, partners=[partner], months=[4], fresh=True)
    scene.sender.wait_until_done(scene.sender.post(leads))
    with scene.load():
        for _ in range(scene.times):
            scene.fetchval(_SPOIL, partner.name)
            task = scene.client.post("/billing/reports/rebuild", report)
            _wait_for_two_at_work(scene)
            began = time.monotonic()
            trees.send((scene.dice.choice(trees.wait_for("background").below),), signal.SIGKILL)
            scene.recover(began)
            rebuilt = scene.client.wait_for(task["status_url"], timeout_s=_TASK_S)
            scene.expect(rebuilt["state"] == "done", f"the rebuild failed: {rebuilt['error']}")


def _wait_for_two_at_work(scene: Scene) -> None:
    deadline = time.monotonic() + _TASK_S
    while scene.fetchval(_RUNNING_SUBTASKS) < 2:
        if time.monotonic() > deadline:
            raise Stuck("no second worker runs subtasks of the rebuild")
        time.sleep(0.02)


def _send(scene: Scene, partner: Partner, month: int) -> None:
    leads = scene.world.leads(_LEADS, partners=[partner], months=[month], fresh=True)
    scene.sender.wait_until_done(scene.sender.post(leads))


def _close(scene: Scene, partner: Partner, period: str) -> None:
    _follow(scene, f"/api/partners/{partner.name}/periods/{period}/close")
    scene.history.happened(lambda oracle: oracle.close(partner.name, period))


def _reopen(scene: Scene, partner: Partner, period: str) -> None:
    _follow(scene, f"/api/partners/{partner.name}/periods/{period}/reopen")
    scene.history.happened(lambda oracle: oracle.reopen(partner.name, period))


def _rebuild(scene: Scene, partner: Partner, period: str) -> None:
    result = _follow(scene, "/billing/reports/rebuild", {"partner": partner.name, "period": period})
    corrected = result["verdicts_corrected"], result["counters_corrected"]
    scene.expect(corrected == (0, 0), f"a rebuild corrected {corrected} verdicts and counters: {result}")


def _follow(scene: Scene, path: str, body: dict[str, str] | None = None) -> dict[str, object]:
    """Start a background task and wait for its end."""
    task = scene.client.wait_for(scene.client.post(path, body)["status_url"], timeout_s=_TASK_S)
    scene.expect(task["state"] == "done", f"{path}: {task['error']}")
    result: dict[str, object] = task["result"] or {}
    return result
