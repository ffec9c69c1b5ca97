"""Memory: what large requests took is given back to the system.

By itself the C library keeps what was freed: it raises the size from which blocks are mapped by themselves to that of
the largest body it has seen, and from then on bodies lie among everything else.
"""

import ctypes
import time

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # of malloc.h
_MAPPED_BYTES = 256 * 1024
_KEPT_BYTES = 8 * 1024 * 1024
_MOST_ARENAS = 2
_INTERVAL_S = 1.0


class Memory:
    """The allocator of the C library, if it is GNU's; any other is left alone."""

    def __init__(self) -> None:
        library = ctypes.CDLL(None)
        self._trim = getattr(library, "malloc_trim", None)
        self._trimmed_at = 0.0
        if self._trim is not None:
            for option, value in (
                (_M_MMAP_THRESHOLD, _MAPPED_BYTES),
                (_M_TRIM_THRESHOLD, _KEPT_BYTES),
                (_M_ARENA_MAX, _MOST_ARENAS),
            ):
                library.mallopt(option, value)

    def give_back(self) -> None:
        """Give free memory back to the system, once a second at most."""
        now = time.monotonic()
        if self._trim is not None and now - self._trimmed_at >= _INTERVAL_S:
            self._trimmed_at = now
            self._trim(0)
