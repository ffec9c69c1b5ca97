"""The monthly run, killed again and again while it bills; and months that beat was away for."""

import signal
import time
from collections.abc import Iterator
from typing import Any

from scripts.dev.chaos import trees
from scripts.dev.chaos.load import Stuck
from scripts.dev.chaos.scene import Scene

_PERIOD = "2024-01"
_MISSED = (1, 2, 3)
_LEADS = 30
_RUN_S = 240.0
_BILLS = """
    SELECT count(*) || ' bills of ' || count(DISTINCT partner_id) || ' partners'
    FROM bills JOIN partners ON partners.id = partner_id
    WHERE external_id = ANY($1::text[]) AND bills.period = 202401
"""
_WRONG = """
    SELECT count(*) FROM bills JOIN partners ON partners.id = partner_id
    WHERE external_id = ANY($1::text[]) AND bills.period = 202401 AND net_minor <> (
        SELECT sum(billed_minor) FROM product_periods
        WHERE product_periods.partner_id = partners.id AND product_periods.period = 202401
    )
"""
_ENABLED = """
    INSERT INTO billing_scheduler (enabled_at, looked_at) VALUES ('2024-01-01Z', '2024-01-01Z')
    ON CONFLICT (only_one) DO UPDATE SET enabled_at = excluded.enabled_at
"""
_BILLED = """
    SELECT string_agg(external_id || ' ' || bills.period, ', ' ORDER BY external_id, bills.created_at)
    FROM bills JOIN partners ON partners.id = partner_id
    WHERE external_id = ANY($1::text[]) AND bills.period BETWEEN 202401 AND 202403
"""


def monthly_run_killed(scene: Scene) -> None:
    """SIGKILL to a child of the background worker at random moments of a run; it goes on, and bills each month once."""
    names = [partner.name for partner in scene.world.partners]
    leads = scene.world.leads(_LEADS * len(names), months=[1], fresh=True)
    scene.sender.wait_until_done(scene.sender.post(leads))
    with scene.load():
        asked = {"shop_ids": names, "period": _PERIOD}
        run = scene.client.post("/api/billing-scheduler/process-monthly-billing", asked)
        url = f"/api/tasks/{run['task_id']}"
        for number in range(scene.times):
            time.sleep(scene.dice.uniform(0.2, 2.5))
            if scene.client.get(url)["state"] == "done":
                scene.notes.append(f"the run was over after {number} kills")
                break
            began = time.monotonic()
            below = trees.wait_for("background").below
            if below:
                trees.send((scene.dice.choice(below),), signal.SIGKILL)
            scene.recover(began)
        task = scene.client.wait_for(url, timeout_s=_RUN_S)
    scene.expect(task["state"] == "done", f"the run failed: {task['error']}")
    for name in names:
        scene.history.happened(lambda oracle, name=name: oracle.close(name, _PERIOD))  # type: ignore[misc]
    (shown,) = scene.client.get("/api/billing-scheduler/status", run=run["run_id"])["runs"]
    scene.expect(shown["failed"] == 0, f"a partner was not billed: {shown['errors']}")
    found = scene.fetchval(_BILLS, names)
    billed = {each["partner"] for each in shown["results"] if each["outcome"] == "successful"}
    scene.expect(found == f"{len(billed)} bills of {len(billed)} partners", f"{found}, and {len(billed)} were billed")
    wrong = scene.fetchval(_WRONG, names)
    scene.expect(wrong == 0, f"{wrong} bills ask for something else than the report")


def months_without_beat(scene: Scene) -> None:
    """Beat is away while three months end, and then there twice; one run bills them, the oldest first, each once."""
    names = sorted(partner.name for partner in scene.world.partners)
    scene.stack.stop("beat")
    for month in _MISSED:
        leads = scene.world.leads(_LEADS * len(names), months=[month], fresh=True)
        scene.sender.wait_until_done(scene.sender.post(leads))
    scene.drain()
    scene.execute(_ENABLED)  # as if the scheduler had been enabled before they began
    began = time.monotonic()
    for beat in ("beat", "second beat"):
        scene.stack.start(beat)
    try:
        run = _wait_for_run(scene)
    finally:
        scene.stack.stop("second beat")
    scene.recoveries_s.append(time.monotonic() - began)
    scene.expect(run["failed"] + run["waiting"] == 0, f"a partner was not billed: {run}")
    ended = [(each["period"], each["partner"]) for each in _results(scene, run["run_id"])]
    for period, name in sorted(ended):
        scene.history.happened(lambda oracle, name=name, period=period: oracle.close(name, period))  # type: ignore[misc]
    found, wanted = (
        scene.fetchval(_BILLED, names),
        ", ".join(f"{name} 20240{month}" for name in names for month in _MISSED),
    )
    scene.expect(found == wanted, f"these bills were made, in this order: {found}")
    runs = [each for each in scene.client.get("/api/billing-scheduler/status")["runs"] if each["processed"]]
    scene.expect(len(runs) == 1, f"{len(runs)} runs billed something")
    scene.recover()


def _wait_for_run(scene: Scene) -> dict[str, Any]:
    deadline = time.monotonic() + _RUN_S
    while time.monotonic() < deadline:
        for run in scene.client.get("/api/billing-scheduler/status")["runs"]:
            if run["state"] == "done" and run["processed"]:
                return dict(run)
        time.sleep(0.5)
    raise Stuck(f"no run has ended after {_RUN_S:.0f} s")


def _results(scene: Scene, run_id: str) -> Iterator[dict[str, Any]]:
    status: dict[str, Any] = {"next": None}
    while True:
        status = scene.client.get("/api/billing-scheduler/status", run=run_id, after=status["next"])
        yield from status["runs"][0]["results"]
        if not status["next"]:
            return
