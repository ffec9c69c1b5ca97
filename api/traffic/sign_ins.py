"""Sign-ins: how often a password may be wrong, and how many people sign in at a time."""

import asyncio
import math
import os
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

from api.problems import Problem
from api.traffic.buckets import Buckets
from db.access import passwords

Result = TypeVar("Result")

_LOOK_UPS = 2
_MOST_WAITING = 8
_MOST_WAITING_KNOWN = 16
"""A password takes 50 ms: whoever waits behind so many is better told to come again."""
_NICE = 10


class SignIns:
    """Limits what people cost who cannot be known yet, in each process.

    A wrong password costs a token of its account and one of its address. An account's own browsers have tokens of their
    own and pass the queue: however many others try, and be it from the same address, its person gets in. Names that
    nobody has count like any other.
    """

    def __init__(self) -> None:
        self._by_address = Buckets(1.0, 30)
        self._by_account = Buckets(0.1, 10)
        self._by_browser = Buckets(0.1, 10)
        self._links_by_account = Buckets(1 / 600, 3)
        self._look_ups = asyncio.Semaphore(_LOOK_UPS)
        self._hashing = ThreadPoolExecutor(1, "passwords", _give_way)
        self._waiting = 0
        self.refused = 0

    def count_address(self, address: str) -> None:
        """Count a request of somebody who is not known; Problem 429 if the address sent too many."""
        self._refuse(self._by_address.take(address), "from this address")

    def forgive_address(self, address: str) -> None:
        """The request was right."""
        self._by_address.give_back(address)

    def count_account(self, email: str, browser: str | None) -> None:
        """Count a try at an account, by one of its own browsers or another one; Problem 429 if there were too many."""
        if browser:
            self._refuse(self._by_browser.take((email, browser)), "from this browser")
        else:
            self._refuse(self._by_account.take(email), "for this account")

    def forgive_account(self, email: str, browser: str | None) -> None:
        """The password was right."""
        if browser:
            self._by_browser.give_back((email, browser))
        else:
            self._by_account.give_back(email)

    def may_mail(self, email: str) -> bool:
        """Whether an account may be sent another link; else its mailbox would be flooded."""
        return not self._links_by_account.take(email)

    @asynccontextmanager
    async def looking_up(self) -> AsyncIterator[None]:
        """A few look-ups at a time, so that other requests find a connection."""
        async with self._look_ups:
            yield

    async def hash(self, password: str) -> str:
        """What is stored of a password; Problem 503 if too many wait."""
        return await self._run(_MOST_WAITING, lambda: passwords.hash_password(password))

    async def matches(self, stored: str | None, password: str, *, known: bool) -> bool:
        """Whether it is the password; somebody `known` passes the queue; Problem 503 if too many wait."""
        most = _MOST_WAITING_KNOWN if known else _MOST_WAITING
        return await self._run(most, lambda: passwords.matches(stored, password))

    def close(self) -> None:
        """End the thread."""
        self._hashing.shutdown(cancel_futures=True)

    def _refuse(self, wait_s: float, whence: str) -> None:
        """Problem 429 unless there is nothing to wait for."""
        if wait_s:
            self.refused += 1
            seconds = math.ceil(wait_s)
            raise Problem(
                429, f"Too many tries came {whence}; try again in {seconds} s.", headers={"Retry-After": str(seconds)}
            )

    async def _run(self, most_waiting: int, call: Callable[[], Result]) -> Result:
        if self._waiting >= most_waiting:
            raise Problem(503, "Too many people sign in just now; try again in a second.", headers={"Retry-After": "1"})
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._hashing, call)
        finally:
            self._waiting -= 1


def _give_way() -> None:
    """Let every other thread of the machine go first, where the system has priorities of threads."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
