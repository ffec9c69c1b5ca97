"""Faults of what Leadger stands on: a table that is away, a server that takes no writes, a folder that is none.

No lead is to blame for any of them, so none of them may leave a dead letter. One that only leads together cause is
beside them, because there some are to blame.
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from scripts.dev.chaos.scene import Scene
from scripts.dev.chaos.world import Partner

_AWAY_S = 4.0
_READ_ONLY_S = 1.5
_TOGETHER = 12
_MOST_ACTIONS = 15


def table_lost(scene: Scene) -> None:
    """A table has another name for some seconds, as if a migration or a right were missing."""
    with scene.load():
        for _ in range(scene.times):
            scene.execute("ALTER TABLE winners RENAME TO winners_away")
            try:
                time.sleep(_AWAY_S)
            finally:
                began = time.monotonic()
                scene.execute("ALTER TABLE winners_away RENAME TO winners")
            scene.recover(began)
            dead = scene.fetchval("SELECT count(*) FROM dead_letters")
            scene.expect(dead == 0, f"{dead} leads are blamed for a missing table")


def failover(scene: Scene) -> None:
    """Every connection ends, and the server takes no writes for a while: 503, and then on without a restart."""
    with scene.load():
        for _ in range(scene.times):
            with _read_only(scene):
                time.sleep(_READ_ONLY_S)
            scene.recover(time.monotonic())


def fail_together(scene: Scene) -> None:
    """Leads that only fail together: what is too much for those before it is a dead letter, until that is mended."""
    for number in range(scene.times):
        scene.execute(f"ALTER TABLE customer_periods ADD CONSTRAINT chaos CHECK (actions <= {_MOST_ACTIONS}) NOT VALID")
        try:
            leads = scene.world.leads(_TOGETHER, customer=number, months=[4], fresh=True)
            leads += scene.world.leads(_TOGETHER, customer=number + 50, months=[5], fresh=True)
            began = time.monotonic()
            scene.sender.wait_until_done(scene.sender.post(leads))
            scene.recoveries_s.append(time.monotonic() - began)
        finally:
            scene.execute("ALTER TABLE customer_periods DROP CONSTRAINT chaos")
        letters = len(list(scene.client.pages("/api/quarantine/dead-letters")))
        if letters:
            scene.client.post("/api/quarantine/dead-letters/retry")
        scene.notes.append(f"{letters} dead letters, retried")
        scene.drain()


def folder_unwritable(scene: Scene) -> None:
    """The folder of report files is a file for a while: closing is done all the same, and files follow."""
    reports = scene.place.home.path / "reports"
    partner = scene.world.partners[0]
    with scene.load():
        for number in range(scene.times):
            away = reports.with_name("reports.away")
            if reports.exists():
                reports.rename(away)
            reports.write_text("no folder")
            try:
                _close_without_files(scene, partner, f"2024-{number + 1:02d}")
            finally:
                reports.unlink()
                if away.exists():
                    away.rename(reports)


def folder_full(scene: Scene) -> None:
    """The folder of report files is on a disk that is full for a while: one page of memory that root mounts there."""
    reports = scene.place.home.path / "reports"
    reports.mkdir(exist_ok=True)
    partner = scene.world.partners[0]
    with scene.load():
        for number in range(scene.times):
            mounted = subprocess.run(
                ["mount", "-t", "tmpfs", "-o", "size=4k", "leadger-chaos", reports],
                check=False,
                capture_output=True,
                text=True,
            )
            if mounted.returncode:
                scene.notes.append(f"nothing was done, for only root can mount a small disk: {mounted.stderr.strip()}")
                return
            try:
                (reports / "filler").write_bytes(bytes(4096))
                _close_without_files(scene, partner, f"2024-{number + 1:02d}")
            finally:
                subprocess.run(["umount", "--lazy", reports], check=True)


def _close_without_files(scene: Scene, partner: Partner, period: str) -> None:
    """Closing is done and says that its files are missing, and leads are decided meanwhile."""
    began = time.monotonic()
    task = scene.client.post(f"/api/partners/{partner.name}/periods/{period}/close")
    closed = scene.client.wait_for(task["status_url"], timeout_s=60)
    scene.expect(closed["state"] == "done", f"the closing is {closed['state']}: {closed['error']}")
    scene.expect(bool((closed["result"] or {}).get("files_error")), "the closing does not say that files are missing")
    scene.history.happened(lambda oracle: oracle.close(partner.name, period))
    scene.recover(began)


@contextmanager
def _read_only(scene: Scene) -> Iterator[None]:
    name = urlsplit(scene.place.database_url).path[1:]
    scene.execute(
        f"ALTER DATABASE {name} SET default_transaction_read_only = on",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    try:
        yield
    finally:
        scene.execute(
            "SET default_transaction_read_only = off", f"ALTER DATABASE {name} RESET default_transaction_read_only"
        )
