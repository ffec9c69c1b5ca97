"""The monthly run, killed again and again while it bills."""

import signal
import time

from scripts.dev.chaos import trees
from scripts.dev.chaos.scene import Scene

_PERIOD = "2024-01"
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
