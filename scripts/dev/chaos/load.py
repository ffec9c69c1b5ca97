"""The client: posts leads over HTTP, remembers what was acknowledged, and sends again what was not."""

import threading
import time
from collections import Counter
from collections.abc import Sequence

import httpx

from scripts.dev.chaos.history import History
from scripts.dev.chaos.world import Lead, World

ANSWER_S = 20.0
_PATIENCE_S = 150.0
_PAUSE_S = 0.1


class Stuck(Exception):
    """Something was not done in the time that a fault may take; the message says what."""


class Sender:
    """Posts batches until they are acknowledged. Several threads may use one sender."""

    def __init__(self, url: str, key: str, history: History, answer_s: float = ANSWER_S) -> None:
        self._history = history
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=answer_s,
            limits=httpx.Limits(max_connections=80, max_keepalive_connections=80),
            trust_env=False,
        )
        self._lock = threading.Lock()
        self.answers: Counter[str] = Counter()
        self.refusals: list[str] = []
        self.slowest_s = 0.0

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def move_to(self, url: str) -> None:
        """Send to another address from now on, as a load balancer does; what is under way ends where it began."""
        self._http.base_url = url

    def post(self, leads: Sequence[Lead]) -> str:
        """Send a batch until it is acknowledged; returns its id. Raises Stuck if that takes too long."""
        deadline = time.monotonic() + _PATIENCE_S
        while True:
            batch_id = self._try(leads)
            if batch_id is not None:
                self._history.acknowledged(batch_id, leads)
                return batch_id
            if time.monotonic() > deadline:
                raise Stuck(f"a batch was not acknowledged within {_PATIENCE_S:.0f} s: {dict(self.answers)}")
            time.sleep(_PAUSE_S)

    def wait_until_done(self, batch_id: str, timeout_s: float = 300.0) -> None:
        """Follow a batch until it is decided, whatever the API answers meanwhile."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                answer = self._http.get(f"/leads/batches/{batch_id}")
                if answer.is_success and answer.json()["state"] == "done":
                    return
            except httpx.HTTPError:
                pass
            if time.monotonic() > deadline:
                raise Stuck(f"batch {batch_id} was not decided within {timeout_s:.0f} s")
            time.sleep(0.02)

    def _try(self, leads: Sequence[Lead]) -> str | None:
        began = time.monotonic()
        try:
            answer = self._http.post("/leads", json=leads)
        except httpx.HTTPError as error:
            self._count(type(error).__name__)
            return None
        if answer.is_success:
            with self._lock:
                self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            self._count("2xx")
            return str(answer.json()["batch_id"])
        self._count(str(answer.status_code))
        if answer.status_code not in (429, 503) or "Retry-After" not in answer.headers:
            with self._lock:
                self.refusals.append(f"{answer.status_code} {answer.text[:300]}")
        return None

    def _count(self, kind: str) -> None:
        with self._lock:
            self.answers[kind] += 1


class Load:
    """Keeps a few small batches coming from threads of its own while the block lasts."""

    def __init__(
        self, sender: Sender, world: World, *, senders: int = 2, leads: int = 12, pause_s: float = 0.04
    ) -> None:
        self._sender = sender
        self._world = world
        self._leads = leads
        self._pause_s = pause_s
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._errors: list[Exception] = []
        self._threads = [threading.Thread(target=self._run, name=f"load {n}", daemon=True) for n in range(senders)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                with self._lock:
                    batch = self._world.leads(self._leads)
                self._sender.post(batch)
                self._ended.wait(self._pause_s)
        except Exception as error:
            self._errors.append(error)
