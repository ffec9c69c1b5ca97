"""Bills while the worker that makes them, writes their files and sends them is killed."""

import signal
import time

from scripts.dev.chaos import trees
from scripts.dev.chaos.scene import Scene
from scripts.dev.chaos.world import Partner

_MONTHS = (1, 2, 3)
_LEADS = 30
_TASK_S = 120.0
_NUMBERS = """
    SELECT coalesce(string_agg(number, ' ' ORDER BY period), '') FROM bills
    WHERE number IS NOT NULL AND partner_id = (SELECT id FROM partners WHERE external_id = $1)
"""
_FILES = """
    SELECT count(*) FROM bill_files JOIN bills ON bills.id = bill_id
    WHERE partner_id = (SELECT id FROM partners WHERE external_id = $1)
"""


_MAILS = """
    SELECT count(*) FROM mails JOIN bills ON bills.id = bill_id
    WHERE partner_id = (SELECT id FROM partners WHERE external_id = $1)
"""


def killed(scene: Scene) -> None:
    """For as many months as there are rounds: SIGKILL while the bill is made, its files are written, it is sent."""
    partner = scene.world.partners[0]
    scene.client.send("PUT", "/api/seller", json={"name": "Chaos Ltd"})
    agreed = {"approvals": [], "number_prefix": "CHAOS", "send": True, "emails": ["bills@chaos.example"]}
    scene.client.patch(f"/api/partners/{partner.name}", {"preferences": agreed})
    months = _MONTHS[: scene.times]
    with scene.load():
        for month in months:
            period = f"2024-{month:02d}"
            leads = scene.world.leads(_LEADS, partners=[partner], months=[month], fresh=True)
            scene.sender.wait_until_done(scene.sender.post(leads))
            task = scene.client.post("/api/bills", {"partner": partner.name, "period": period})
            _kill(scene)
            made = scene.client.wait_for(task["status_url"], timeout_s=_TASK_S)
            scene.expect(made["state"] == "done", f"the bill of {period} was not made: {made['error']}")
            _closed(scene, partner, period)
            (found,) = scene.client.get("/api/bills", partner=partner.name, period=period)["items"]
            for move in ("submit", "issue"):
                scene.client.patch(f"/api/bills/{found['bill_id']}/{move}", {"digest": found["digest"]})
            for _ in ("files", "mail"):
                _kill(scene)
    scene.drain()
    numbers = scene.fetchval(_NUMBERS, partner.name)
    scene.expect(numbers == " ".join(f"CHAOS-{month:04d}" for month in months), f"the numbers are {numbers}")
    files = scene.fetchval(_FILES, partner.name)
    scene.expect(files == 4 * len(months), f"{files} files of {len(months)} bills were written")
    mails = scene.fetchval(_MAILS, partner.name)
    sent = [each.stem for each in (scene.place.home.path / "outbox").glob("*.eml")]  # the Message-ID names the file
    scene.expect(mails == len(sent) == len(months), f"{len(sent)} of {mails} mails of {len(months)} bills were sent")


def _closed(scene: Scene, partner: Partner, period: str) -> None:
    scene.history.happened(lambda oracle: oracle.close(partner.name, period))


def _kill(scene: Scene) -> None:
    time.sleep(scene.dice.uniform(0.02, 0.3))
    tree = trees.wait_for("background")
    began = time.monotonic()
    trees.send(tree.below[-1:], signal.SIGKILL)
    scene.recover(began)
