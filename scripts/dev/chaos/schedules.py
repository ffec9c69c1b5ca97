"""Beat twice, and beat away."""

import time

from scripts.dev.chaos import trees
from scripts.dev.chaos.scene import Scene


def beat_twice(scene: Scene) -> None:
    """Two beats at once: one starts the sweeper, the other stands by."""
    scene.stack.start("second beat")
    try:
        trees.wait_for("second beat")
        with scene.load():
            for _ in range(scene.times):
                time.sleep(2 * scene.place.sweep_interval_s)
                scene.recover()
    finally:
        scene.stack.stop("second beat")


def beat_absent(scene: Scene) -> None:
    """Beat is away for three intervals while a message is lost: its leads wait, and are decided when it is back."""
    for _ in range(scene.times):
        scene.stack.stop("beat")
        try:
            batch_id = post_unheard(scene)
            time.sleep(3 * scene.place.sweep_interval_s)
            state = scene.client.get(f"/leads/batches/{batch_id}")["state"]
            scene.expect(state == "waiting", f"a batch without a notification is {state}, so nothing was shown")
        finally:
            began = time.monotonic()
            scene.stack.start("beat")
        scene.sender.wait_until_done(batch_id)
        scene.recoveries_s.append(time.monotonic() - began)


def post_unheard(scene: Scene) -> str:
    """Post a batch whose message is gone before a worker can take it."""
    scene.drain()
    # Frozen, it would still be served: Redis hands a new message to a client that waits for one.
    scene.stack.stop("worker")
    try:
        batch_id = scene.sender.post(scene.world.leads(20))
        time.sleep(1)
        scene.stack.empty_redis()
    finally:
        scene.stack.start("worker")
        trees.wait_for("worker")
    return batch_id
