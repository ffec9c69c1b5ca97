"""From the first release to this one while leads come in: no request fails, nothing is lost, every total is right."""

import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from db.core.migrate import ROOT, downgrade, upgrade
from scripts.client import Client
from scripts.dev.chaos.judgement import judge
from scripts.dev.chaos.scene import Scene, opened_scene
from scripts.dev.chaos.stack import Place
from scripts.local.embedded import valkey
from scripts.local.launcher.home import Home
from tests.release import Release, release
from tests.upgrade.conftest import FirstDatabase
from tests.upgrade.first_release import unpack_code
from tests.upgrade.reading import ANSWER_S, Reading

_LONGEST_WAIT_S = 5.0
"""A migration gives up a lock that it does not get in this time, so nobody waits longer behind it."""
_TASK_S = 300.0

PATHS = (
    "/leads/uuid-1",
    "/leads?customer=customer-123",
    "/billing/reports?partner=globex",
    "/api/partners/globex/periods",
)


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    with valkey(tmp_path / "valkey", durable=False) as url:
        yield url


@pytest.fixture
def old(first_database: FirstDatabase, redis_url: str, tmp_path: Path) -> Iterator[Release]:
    """The first release, ready."""
    code = unpack_code(tmp_path / "first-release")
    with release(code, tmp_path / "old", first_database.url, redis_url) as old:
        old.start("worker", "api", "beat")
        assert old.readiness().is_success
        yield old


@pytest.fixture
def new(old: Release, tmp_path: Path) -> Iterator[Release]:
    """This release, of which nothing runs yet."""
    with release(ROOT, tmp_path / "new", old.env["DATABASE_URL"], old.env["REDIS_URL"]) as new:
        yield new


@pytest.fixture
def scene(old: Release, first_database: FirstDatabase, redis_url: str) -> Iterator[Scene]:
    place = Place(old.url, first_database.key, first_database.url, redis_url, Home(old.home))
    with opened_scene(place, times=1, seed=1, name="upgrade", answer_s=ANSWER_S) as scene:
        yield scene


@pytest.mark.slow
def test_an_upgrade_under_load_fails_no_request_and_loses_nothing(old: Release, new: Release, scene: Scene) -> None:
    with scene.load(), Reading(old.url, scene.place.key, PATHS) as before:
        new.start("api")
        assert new.readiness().status_code == 503, "a new process takes no leads before the migrations"
        upgrade(scene.place.database_url)
        scene.recover()  # yesterday's code on today's schema
        new.start("worker", "background", "beat")
        assert new.readiness().is_success
        with Client(new.url, scene.place.key) as client:
            webhook_id = _agree_and_enter(client)
        scene.recover()  # both side by side
    # What is under way at the old address ends before it is closed, as a load balancer has it.
    slowest_beside_migrations_s, scene.sender.slowest_s = scene.sender.slowest_s, 0.0
    scene.sender.move_to(new.url)
    scene.place.url = new.url
    with scene.load(), Reading(new.url, scene.place.key, PATHS) as after:
        assert old.stop() == {"worker": 0, "api": 0, "beat": 0}
        with Client(new.url, scene.place.key) as client:
            bill_id = _issue(client)
        scene.recover()
    scene.drain()
    assert set(scene.sender.answers) == {"2xx"}, scene.sender.refusals
    assert slowest_beside_migrations_s < _LONGEST_WAIT_S + scene.sender.slowest_s  # as slow as the machine is
    for reading in (before, after):
        assert set(reading.answers) == {(path, "200") for path in PATHS}
    judgement = judge(scene.place, scene.world, scene.history, seed=1)
    assert (judgement.lost, judgement.billed_twice, judgement.wrong_totals, judgement.false_2xx) == (0, 0, 0, 0), (
        judgement.details
    )
    assert judgement.leads > 100
    with Client(new.url, scene.place.key) as client:
        _is_what_the_first_release_decided(client)
        _is_what_was_entered_beside_it(client, bill_id, webhook_id)


@pytest.mark.slow
def test_migrations_never_end_a_request(old: Release, new: Release, scene: Scene) -> None:
    """Failed before: readers were the victims of deadlocks with a migration that waited longer than a second."""
    with scene.load(), Reading(old.url, scene.place.key, PATHS) as reading:
        for _ in range(8):
            upgrade(scene.place.database_url)
            downgrade(scene.place.database_url, "0003")
        scene.recover()
    scene.drain()
    assert set(scene.sender.answers) == {"2xx"}, scene.sender.refusals
    assert set(reading.answers) == {(path, "200") for path in PATHS}
    upgrade(scene.place.database_url)
    new.start("api")  # yesterday's answers have less than is judged
    assert new.readiness().is_success
    scene.place.url = new.url
    judgement = judge(scene.place, scene.world, scene.history, seed=1)
    assert (judgement.lost, judgement.billed_twice, judgement.wrong_totals) == (0, 0, 0), judgement.details


def test_the_first_release_runs_its_own_code(tmp_path: Path) -> None:
    code = unpack_code(tmp_path)
    for module in ("api.app", "db.batch", "billing.evaluate", "worker.runtime"):
        where = [sys.executable, "-c", f"import {module} as module; print(module.__file__)"]
        told = subprocess.run(where, cwd=code, capture_output=True, text=True, check=True)
        assert Path(told.stdout.strip()).is_relative_to(code)


def test_what_the_first_release_decided_stays_and_can_be_rebuilt(
    first_database: FirstDatabase, redis_url: str, tmp_path: Path
) -> None:
    upgrade(first_database.url)
    with release(ROOT, tmp_path / "new", first_database.url, redis_url) as new:
        new.start("worker", "background", "api")
        assert new.readiness().is_success
        with Client(new.url, first_database.key) as client:
            _is_what_the_first_release_decided(client)
            for partner, period in (("globex", "2024-04"), ("globex", "2024-05"), ("acme", "2024-04")):
                task = client.post("/billing/reports/rebuild", {"partner": partner, "period": period})
                result = client.wait_for(task["status_url"], timeout_s=_TASK_S)["result"]
                assert (result["verdicts_corrected"], result["counters_corrected"]) == (0, 0), (partner, period)
            _is_what_the_first_release_decided(client)
            client.post("/api/products", {"external_id": "product-nobody-knows", "partner": "globex", "name": "Late"})
            assert _decided(client, "unknown-1") == [("billed", "2.00")]
            client.post(f"/api/actions/{_action(client, 'held-1', 'Registration')}/release", {"reason": "checked"})
            assert _decided(client, "held-1") == [("billed", "7.50"), ("billed", "10.00")]


def _is_what_the_first_release_decided(client: Client) -> None:
    """The design's sample figures, and what happened to them since."""
    reports = {
        (partner, report["period"]): report
        for partner in ("globex", "acme")
        for report in client.pages("/billing/reports", partner=partner)
    }
    assert {key: _figures(report) for key, report in reports.items()} == {
        ("globex", "2024-04"): ("29.00", "19.00", "10.00", "0.00", "0.00", True),
        ("globex", "2024-05"): ("39.00", "29.00", "0.00", "0.00", "10.00", False),
        ("acme", "2024-04"): ("194.00", "100.00", "90.00", "4.00", "0.00", False),
    }
    assert reports["globex", "2024-04"]["digest"].startswith("159cb59f671284855201f6d9921c3674")
    assert reports["globex", "2024-05"]["credited"] == "2.00"
    assert [item["lead_id"] for item in client.pages("/api/quarantine")] == ["unknown-1"]


def _agree_and_enter(client: Client) -> str:
    """Terms, usage, a payment and a webhook of globex, while the first release still serves; the id of the webhook."""
    client.send("PUT", "/api/seller", json={"name": "Upgrade Ltd"})
    terms = {"monthly_api_limit": 100, "overage_unit_cost": "0.010000", "preferences": {"approvals": []}}
    client.patch("/api/partners/globex", terms | {"effective_period": "2024-04"})
    client.post("/api/usage", {"partner": "globex", "period": "2024-04", "source": "api", "key": "k", "units": 500})
    paid = {"external_id": "p-1", "partner": "globex", "amount": "5.00", "paid_on": "2024-05-02", "reference": "early"}
    client.post("/api/payments", paid)
    webhook = {"url": "https://hooks.invalid/bills", "events": ["bill.issued"]}
    return str(client.post("/api/webhooks", webhook)["webhook_id"])


def _issue(client: Client) -> str:
    """The bill of a month that the first release closed; its id."""
    task = client.post("/api/bills", {"partner": "globex", "period": "2024-04"})
    made = client.wait_for(task["status_url"], timeout_s=_TASK_S)["result"]["bills"]
    bill = client.get(f"/api/bills/{made['2024-04']}")
    for move in ("submit", "issue"):
        client.patch(f"/api/bills/{bill['bill_id']}/{move}", {"digest": bill["digest"]})
    return str(bill["bill_id"])


def _is_what_was_entered_beside_it(client: Client, bill_id: str, webhook_id: str) -> None:
    """19.00 of leads and 400 units above the limit at 0.01, of which 5.00 were paid before."""
    bill = client.get(f"/api/bills/{bill_id}")
    leads = [Decimal(line["net"]) for line in bill["lines"] if line["kind"] == "leads"]
    assert (sum(leads), bill["lines"][-1]["kind"], bill["lines"][-1]["net"]) == (19, "overage", "4.00")
    assert (bill["number"], bill["total"], bill["applied"], bill["open"]) == ("GLOBEX-0001", "23.00", "5.00", "18.00")
    statement = client.get("/api/partners/globex/statement", **{"from": "2024-01-01", "to": "2100-01-01"})
    assert [entry["amount"] for entry in statement["entries"]] == ["-5.00", "23.00"]
    assert [item["units"] for item in client.pages("/api/usage", partner="globex")] == [500]
    told = client.pages(f"/api/webhooks/{webhook_id}/deliveries")
    assert [delivery["event"] for delivery in told] == ["bill.issued"]


def _figures(report: dict[str, Any]) -> tuple[Any, ...]:
    names = ("gross", "billed", "duplicate_savings", "cap_savings", "held")
    return (*(report["totals"][name] for name in names), report["final"])


def _decided(client: Client, lead_id: str) -> list[tuple[str, str]]:
    lead = client.wait_for(f"/leads/{lead_id}", timeout_s=_TASK_S)
    return [(action["outcome"], action["billed"]) for action in lead["actions"]]


def _action(client: Client, lead_id: str, action_type: str) -> str:
    [action] = [a for a in client.get(f"/leads/{lead_id}")["actions"] if a["action_type"] == action_type]
    return str(action["action_id"])
