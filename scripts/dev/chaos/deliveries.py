"""Leads that come more than once, at the same time, in the wrong order, or that cannot be decided at all."""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from celery import Celery

from db.core.settings import Settings
from db.tasks.notifications import PROCESS_LEADS, broker_configuration
from scripts.dev.chaos.poison import marker
from scripts.dev.chaos.scene import Scene
from scripts.dev.chaos.stack import Place
from scripts.dev.chaos.world import Lead

_POISON_BATCH = 500


@contextmanager
def messages(place: Place) -> Iterator[Celery]:
    """Something to send Celery messages with."""
    settings = Settings(database_url=place.database_url, redis_url=place.redis_url, home=place.home.path)
    with Celery("chaos", set_as_current=False) as celery:
        celery.conf.update(broker_configuration(settings))
        yield celery


def three_times(scene: Scene) -> None:
    """Every batch is sent three times at once, and its message delivered three times more."""
    with messages(scene.place) as celery, ThreadPoolExecutor(3) as senders:
        for _ in range(10 * scene.times):
            batch = scene.world.leads(12)
            sent = [senders.submit(scene.sender.post, batch) for _ in range(3)]
            for _ in range(3):
                celery.send_task(PROCESS_LEADS)
            for each in sent:
                each.result()
    scene.recover()


def ten_at_once(scene: Scene) -> None:
    """The same new lead in ten batches that come at the same moment, with others around it."""
    with ThreadPoolExecutor(10) as senders:
        for _ in range(scene.times):
            shared = scene.world.leads(1)
            batches = [[*scene.world.leads(3), *shared, *scene.world.leads(3)] for _ in range(10)]
            _send_all(senders, scene, batches)
            scene.recover()


def one_customer(scene: Scene) -> None:
    """Sixty-four batches at the same moment, all for one customer."""
    with ThreadPoolExecutor(64) as senders:
        for time_ in range(scene.times):
            batches = [scene.world.leads(4, customer=time_) for _ in range(64)]
            _send_all(senders, scene, batches)
            scene.recover()


def reversed_order(scene: Scene) -> None:
    """Batches by time, the newest first, so that every one of them comes before what was decided."""
    for _ in range(scene.times):
        leads = sorted(scene.world.leads(240), key=lambda lead: str(lead["actions"][0]["timestamp"]), reverse=True)
        for start in range(0, len(leads), 12):
            scene.sender.post(leads[start : start + 12])
        scene.recover()


def poison(scene: Scene) -> None:
    """One lead among 500 that makes the worker fail: the others are billed, and it too when the fault is fixed."""
    named = marker(scene.place.home.path)
    for _ in range(scene.times):
        batch = scene.world.leads(_POISON_BATCH, fresh=True)
        bad = scene.dice.choice(batch)
        named.write_text(str(bad["lead_id"]))
        began = time.monotonic()
        batch_id = scene.sender.post(batch)
        scene.sender.wait_until_done(batch_id)
        scene.recoveries_s.append(time.monotonic() - began)
        status = scene.client.get(f"/leads/batches/{batch_id}")["leads"]
        scene.expect(
            (status["new"], status.get("dead")) == (_POISON_BATCH - 1, 1), f"of 500 leads with one poison: {status}"
        )
        letters = list(scene.client.pages("/api/quarantine/dead-letters"))
        scene.expect(len(letters) == 1, f"{len(letters)} dead letters for one poison lead")
        named.unlink()
        retried = scene.client.post("/api/quarantine/dead-letters/retry")["retried"]
        scene.expect(retried == 1, f"{retried} dead letters retried")
        scene.drain()


def _send_all(senders: ThreadPoolExecutor, scene: Scene, batches: Sequence[list[Lead]]) -> None:
    for batch_id in [sent.result() for sent in [senders.submit(scene.sender.post, batch) for batch in batches]]:
        scene.sender.wait_until_done(batch_id)
