"""Of several beats one is active; another takes over when it is gone."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis
from celery import Celery

from db.core.settings import Settings
from db.tasks.notifications import broker_configuration
from worker import one_beat
from worker.one_beat import OneBeat
from worker.schedule import beat_schedule

_LEASE_S = 0.3


class Beat(OneBeat):
    """A beat that counts what it would send."""

    def __init__(self, settings: Settings, file: Path) -> None:
        app = Celery("leadger", set_as_current=False)
        app.conf.update(broker_configuration(settings), beat_schedule=beat_schedule(settings))
        super().__init__(app, schedule_filename=str(file))
        self.sent = 0

    def apply_entry(self, entry: object, producer: object = None) -> None:
        self.sent += 1


@pytest.fixture
def beats(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Beat]:
    monkeypatch.setattr(one_beat, "LEASE_MS", int(_LEASE_S * 1000))
    with redis.Redis.from_url(settings.redis_url) as client:
        client.delete(one_beat._LEASE)
    often = settings.model_copy(update={"sweep_interval_s": 0.02})
    return [Beat(often, tmp_path / f"beat{number}") for number in range(2)]


def count_sent(*beats: Beat, for_s: float) -> list[int]:
    """How much each sends in a while."""
    before = [beat.sent for beat in beats]
    end = time.monotonic() + for_s
    while time.monotonic() < end:
        for beat in beats:
            beat.tick()
        time.sleep(0.01)
    return [beat.sent - sent for beat, sent in zip(beats, before, strict=True)]


def test_of_two_beats_one_is_active(beats: list[Beat]) -> None:
    first, second = count_sent(*beats, for_s=3 * _LEASE_S)
    assert first > 10
    assert second == 0


def test_the_other_takes_over_when_the_first_was_killed(beats: list[Beat]) -> None:
    count_sent(*beats, for_s=_LEASE_S)
    (sent,) = count_sent(beats[1], for_s=3 * _LEASE_S)
    assert sent > 5


def test_the_other_takes_over_at_once_when_the_first_ends_in_order(beats: list[Beat]) -> None:
    count_sent(*beats, for_s=_LEASE_S)
    beats[0].close()
    beats[1].tick()
    assert beats[1]._is_active


def test_the_worker_names_this_scheduler(settings: Settings) -> None:
    env = os.environ | {"DATABASE_URL": settings.database_url, "REDIS_URL": settings.redis_url}
    code = "from worker.app import app; print(app.conf.beat_scheduler)"
    told = subprocess.run([sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True)
    assert told.stdout.strip() == f"{OneBeat.__module__}:{OneBeat.__qualname__}"


def test_without_redis_nobody_is_active_and_nobody_fails(beats: list[Beat], monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> None:
        raise redis.ConnectionError("gone")

    for beat in beats:
        monkeypatch.setattr(beat._redis, "eval", gone)
    assert count_sent(*beats, for_s=0.1) == [0, 0]
