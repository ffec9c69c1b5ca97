"""Python's garbage collector, told what kind of work we do."""

import gc

_ALLOCATIONS_BETWEEN_LOOKS = 50_000


def tune_garbage_collector() -> None:
    """Look for cycles rarely, and never among what the process was started with.

    A batch of leads makes a hundred thousand small objects that die together without a cycle; looking through them
    after every 700 took a third of a worker's time (`scripts/bench profile-worker`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_BETWEEN_LOOKS, 20, 100)
