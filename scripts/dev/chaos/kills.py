"""Processes of Leadger that are killed or stopped: worker, API, supervisor."""

import signal
import time

from scripts.dev.chaos import trees
from scripts.dev.chaos.load import Stuck
from scripts.dev.chaos.scene import Scene
from scripts.dev.chaos.stack import PARTS
from scripts.dev.chaos.up import RunningUp

_LONGEST_BUSY_S = 0.4


def worker_child(scene: Scene) -> None:
    """SIGKILL to a child of the worker while it has work."""
    with scene.load():
        for _ in range(scene.times):
            _let_it_work(scene)
            tree = trees.wait_for("worker")
            while not tree.below:
                time.sleep(0.05)
                tree = trees.wait_for("worker")
            began = time.monotonic()
            trees.send((scene.dice.choice(tree.below),), signal.SIGKILL)
            scene.recover(began)


def worker(scene: Scene) -> None:
    """SIGKILL to the worker's main process; its keeper ends the children."""
    _kill_main(scene, "worker")


def api(scene: Scene) -> None:
    """SIGKILL to the API, in turn to its main process and to the process that serves."""
    with scene.load():
        for time_ in range(scene.times):
            _let_it_work(scene)
            tree = trees.wait_for("api")
            began = time.monotonic()
            if time_ % 2 and tree.below:
                trees.send((scene.dice.choice(tree.below),), signal.SIGKILL)
            else:
                trees.send((tree.main,), signal.SIGKILL)
            scene.recover(began)


def restarts(scene: Scene) -> None:
    """SIGTERM to workers, API and beat in turn; each ends in order and is started again."""
    with scene.load():
        for time_ in range(scene.times):
            _let_it_work(scene)
            part = PARTS[time_ % len(PARTS)]
            main = trees.wait_for(part).main
            began = time.monotonic()
            trees.send((main,), signal.SIGTERM)
            scene.recover(began)
            trees.wait_for(part, other_than=main)


def supervisor(scene: Scene) -> None:
    """SIGKILL to `leadger up`: nothing of it stays, and the next start works on the same home."""
    up = scene.place
    assert isinstance(up, RunningUp)
    with scene.load():
        for _ in range(scene.times):
            _let_it_work(scene)
            family = up.family()
            began = time.monotonic()
            up.kill()
            _wait_until_gone(family)
            up.start()
            scene.recover(began)


def _kill_main(scene: Scene, part: str) -> None:
    with scene.load():
        for _ in range(scene.times):
            _let_it_work(scene)
            tree = trees.wait_for(part)
            began = time.monotonic()
            trees.send((tree.main,), signal.SIGKILL)
            scene.recover(began)


def _let_it_work(scene: Scene) -> None:
    time.sleep(scene.dice.uniform(0.05, _LONGEST_BUSY_S))


def _wait_until_gone(pids: list[int]) -> None:
    deadline = time.monotonic() + 90
    while left := [pid for pid in pids if trees.is_alive(pid)]:
        if time.monotonic() > deadline:
            raise Stuck(f"processes {left} outlived their supervisor")
        time.sleep(0.02)
