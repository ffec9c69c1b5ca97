"""Which beat starts the sweeper: seen in the commands that the broker gets."""

import re
import time
from collections.abc import Sequence

import redis

from scripts.dev.bench.usage import of_session
from scripts.local.processes.process import Process

_SENDER = re.compile(r"gen(\d+)@")
_SWEEP = "leads.sweep"


def active_beats(redis_url: str, beats: Sequence[Process], for_s: float) -> set[int]:
    """The places of the beats that start the sweeper in the next seconds."""
    active: set[int] = set()
    deadline = time.monotonic() + for_s
    with redis.Redis.from_url(redis_url, socket_timeout=for_s) as client, client.monitor() as monitor:
        while time.monotonic() < deadline:
            try:
                command = monitor.next_command()["command"]
            except redis.TimeoutError:
                break
            if _SWEEP in command and (found := _SENDER.search(command)):
                active |= {place for place, beat in enumerate(beats) if int(found[1]) in of_session(beat.pid)}
    return active


def first_sweep_s(redis_url: str, beats: Sequence[Process], limit_s: float) -> float:
    """How long it takes until one of the beats starts the sweeper. TimeoutError after `limit_s`."""
    began = time.monotonic()
    while not active_beats(redis_url, beats, 0.5):
        if time.monotonic() - began > limit_s:
            raise TimeoutError(f"no beat started the sweeper within {limit_s:.0f} s")
    return time.monotonic() - began
