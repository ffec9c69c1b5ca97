"""Somebody who reads over and over, for upgrades that nobody should notice."""

import threading
import time
from collections import Counter

import httpx

ANSWER_S = 120.0
"""For so long an answer is waited for: how fast a machine is that does other work, too, is not the question."""


class Reading:
    """Asks for the same paths until the block ends; `answers` counts statuses and broken connections by path.

    It pauses for as long as it asked, so that on a slow machine, too, a migration finds a moment without it.
    """

    def __init__(self, url: str, key: str, paths: tuple[str, ...]) -> None:
        self.url = url
        self.answers: Counter[tuple[str, str]] = Counter()
        self._headers = {"Authorization": f"Bearer {key}"}
        self._paths = paths
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reading", daemon=True)

    def __enter__(self) -> "Reading":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(headers=self._headers, timeout=ANSWER_S, trust_env=False) as http:
            pause_s = 0.02
            while not self._ended.wait(pause_s):
                began = time.monotonic()
                for path in self._paths:
                    self.answers[path, self._ask(http, path)] += 1
                pause_s = time.monotonic() - began

    def _ask(self, http: httpx.Client, path: str) -> str:
        try:
            return str(http.get(self.url + path).status_code)
        except httpx.HTTPError as error:
            return type(error).__name__
