"""Redis and Postgres that are killed, emptied, frozen, full or cut off."""

import shutil
import signal
import time
from collections.abc import Callable

from scripts.dev.chaos import trees
from scripts.dev.chaos.load import Stuck
from scripts.dev.chaos.scene import Scene


def redis_emptied(scene: Scene) -> None:
    """SIGKILL to Valkey, and its files are gone before it starts again: every message is lost."""
    with scene.load():
        for _ in range(scene.times):
            time.sleep(scene.dice.uniform(0.1, 0.5))
            tree = trees.wait_for("valkey")
            began = time.monotonic()
            trees.send((tree.main,), signal.SIGKILL)
            while trees.is_alive(tree.main):
                time.sleep(0.005)
            shutil.rmtree(scene.place.home.valkey / "appendonlydir", ignore_errors=True)
            trees.wait_for("valkey", other_than=tree.main)
            scene.recover(began)


def redis_frozen(seconds: float) -> Callable[[Scene], None]:
    """SIGSTOP to Valkey for so long: leads are accepted all the while, and decided after."""

    def strike(scene: Scene) -> None:
        with scene.load():
            for _ in range(scene.times):
                tree = trees.wait_for("valkey")
                trees.send((tree.main,), signal.SIGSTOP)
                try:
                    before, until = scene.sender.answers["2xx"], time.monotonic() + seconds
                    while time.monotonic() < until:
                        time.sleep(0.2)
                    accepted = scene.sender.answers["2xx"] - before
                finally:
                    trees.send((tree.main,), signal.SIGCONT)
                began = time.monotonic()
                scene.expect(accepted >= seconds, f"only {accepted} batches were accepted in {seconds:.0f} s")
                scene.expect(scene.sender.slowest_s < 5, f"a 2xx took {scene.sender.slowest_s:.1f} s")
                scene.notes.append(f"{accepted} batches accepted while frozen for {seconds:.0f} s")
                scene.recover(began)

    return strike


def redis_full(scene: Scene) -> None:
    """Valkey refuses every write for want of memory (noeviction), then has room again."""
    with scene.load():
        for _ in range(scene.times):
            with scene.stack.redis() as valkey:
                valkey.config_set("maxmemory-policy", "noeviction")
                valkey.config_set("maxmemory", 1)
            before = scene.sender.answers["2xx"]
            time.sleep(3 * scene.place.sweep_interval_s)
            scene.expect(scene.sender.answers["2xx"] > before, "nothing was accepted while Redis was full")
            with scene.stack.redis() as valkey:
                valkey.config_set("maxmemory", 0)
            scene.recover(time.monotonic())


def postgres_killed(scene: Scene) -> None:
    """SIGKILL to every process of Postgres at once, or to its main process alone, in turn."""
    with scene.load():
        for time_ in range(scene.times):
            time.sleep(scene.dice.uniform(0.1, 0.5))
            tree = trees.wait_for("postgres")
            began = time.monotonic()
            trees.send((tree.main,) if time_ % 2 else tree.all[::-1], signal.SIGKILL)
            scene.recover(began)


def cut_at_commit(scene: Scene) -> None:
    """The connection breaks at the COMMIT of a batch: before the server hears of it, or before it can answer."""
    cutter = scene.stack.cutter
    with scene.load():
        for time_ in range(scene.times):
            application = ("leadger-worker", "leadger-api")[time_ % 2]
            cutter.cut_next(application, after=scene.dice.random() < 0.5)
            if not cutter.wait(60):
                raise Stuck(f"no COMMIT of {application} came by within 60 s")
            scene.recover(time.monotonic())
    scene.expect(cutter.cuts == scene.times, f"{cutter.cuts} connections were cut")
