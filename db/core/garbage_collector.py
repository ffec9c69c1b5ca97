"""Settings of Python's garbage collector for our kind of work."""

import gc

OF_A_WORKER = (50_000, 20, 100)
"""Allocations before a search, and searches before one among the survivors of as many, and of those."""
OF_THE_DOOR = (5_000, 5, 1_000)
"""Searches of a millisecond: all threads wait for one, and among 50,000 objects of a large body it took up to 90 ms."""


def tune_garbage_collector(thresholds: tuple[int, int, int]) -> None:
    """Search for cycles rarely, and never among the objects that exist now.

    A batch of leads makes a hundred thousand small objects without a cycle. With the default of one search per 700
    allocations, searching took a third of a worker's time (`scripts/bench profile-worker`).
    """
    if gc.isenabled():  # otherwise nothing was done yet but imports, which leave next to no garbage
        gc.collect()
    gc.freeze()
    gc.set_threshold(*thresholds)
    gc.enable()
