"""Settings of Python's garbage collector for our kind of work."""

import gc

_ALLOCATIONS_PER_COLLECTION = 50_000


def tune_garbage_collector() -> None:
    """Search for cycles rarely, and never among the objects that exist now.

    A batch of leads makes a hundred thousand small objects without a cycle. With the default of one search per 700
    allocations, searching took a third of a worker's time (`scripts/bench profile-worker`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_ALLOCATIONS_PER_COLLECTION, 20, 100)
