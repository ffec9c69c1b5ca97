"""Looks a thousand times a second which Python function the main thread is in, and gives it the CPU time used since.

The look is a signal, so it falls on any bytecode alike; a thread that looks would mostly get its turn where the main
thread lets the interpreter go. Where no Python frame is at work, the time belongs to the event loop and the database
driver, which are C. Being driven off the processor by others does not show.
"""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

_EVERY_S = 0.001
_ROOT = str(Path(__file__).parents[4])
_LOOP = ("asyncio/runners.py", "asyncio/base_events.py", "asyncio/events.py", "selectors.py")


@dataclass
class Samples:
    """CPU microseconds by innermost function, by its package, and by each function of ours on the stack."""

    count: int = 0
    innermost: Counter[str] = field(default_factory=Counter)
    packages: Counter[str] = field(default_factory=Counter)
    ours: Counter[str] = field(default_factory=Counter)
    cpu_s: float = 0.0
    _last_s: float = field(default_factory=time.process_time)

    def take(self, frame: FrameType | None) -> None:
        """Give the CPU time since the last look to where the thread is now."""
        self.count += 1
        now_s = time.process_time()
        spent_us, self._last_s = max(round((now_s - self._last_s) * 1e6), 0), now_s
        if frame is None or frame.f_code.co_filename.endswith(_LOOP):
            self.innermost["event loop and driver"] += spent_us
            self.packages["event loop and driver"] += spent_us
            return
        self.innermost[_name(frame)] += spent_us
        self.packages[_package(frame.f_code.co_filename)] += spent_us
        seen: set[str] = set()
        at: FrameType | None = frame
        while at is not None:
            if _is_ours(at.f_code.co_filename):
                seen.add(_name(at))
            at = at.f_back
        self.ours.update(dict.fromkeys(seen, spent_us))


@contextmanager
def sampling() -> Iterator[Samples]:
    """Sample the main thread, which is the caller, until the end of the block."""
    samples = Samples()
    previous = signal.signal(signal.SIGALRM, lambda _, frame: samples.take(frame))
    began_s = time.process_time()
    signal.setitimer(signal.ITIMER_REAL, _EVERY_S, _EVERY_S)
    try:
        yield samples
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        samples.cpu_s = time.process_time() - began_s
        signal.signal(signal.SIGALRM, previous)


def _name(frame: FrameType) -> str:
    return f"{_package(frame.f_code.co_filename, whole=True)}:{frame.f_code.co_qualname}"


def _package(file: str, *, whole: bool = False) -> str:
    """`db.intake.inbox` or `starlette.routing` of a file's path; without `whole` the first part of it."""
    for start in (f"{_ROOT}/", "/"):
        if start == "/" and "site-packages/" in file:
            file = file.rpartition("site-packages/")[2]
        elif _is_ours(file):
            file = file.removeprefix(start)
    if file.startswith("/"):
        file = "python/" + Path(file).name
    dotted = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    return dotted if whole else dotted.partition(".")[0]


def _is_ours(file: str) -> bool:
    return file.startswith(_ROOT) and "site-packages" not in file and "/scripts/dev/bench/" not in file
