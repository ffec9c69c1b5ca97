"""The HTTP client behind the command line, the samples and the seed."""

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

import httpx


class Refused(Exception):
    """The API said no; the message is its sentence."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        try:
            self.problem: dict[str, Any] = response.json()
        except ValueError:
            self.problem = {}
        super().__init__(self.problem.get("detail") or f"{response.status_code} {response.reason_phrase}")


class Unreachable(Exception):
    """Nothing answers at the URL; the message says so in a sentence."""


class Client:
    """Leadger's API with an API key. Waits and tries again while the answer is 429 or 503."""

    def __init__(self, url: str, api_key: str, timeout_s: float = 60.0) -> None:
        self.url = url.rstrip("/")
        self._http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {api_key}"}, timeout=timeout_s
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **query: Any) -> Any:
        """GET JSON; None values are left out of the query."""
        return self.send("GET", path, params={k: v for k, v in query.items() if v is not None}).json()

    def post(self, path: str, body: Any = None, **query: Any) -> Any:
        """POST JSON and return the answer's JSON."""
        return self.send("POST", path, json={} if body is None else body, params=query).json()

    def delete(self, path: str) -> None:
        """DELETE."""
        self.send("DELETE", path)

    def send(self, method: str, path: str, tries: int = 20, **request: Any) -> httpx.Response:
        """One request; raises Refused for an error answer and Unreachable if nobody answers."""
        for attempt in range(tries):
            try:
                response = self._http.request(method, path, **request)
            except httpx.TransportError as error:
                if attempt == tries - 1 or isinstance(error, httpx.ConnectError):
                    raise Unreachable(f"Nothing answers at {self.url}; is Leadger running? ({error})") from None
            else:
                if response.status_code not in (429, 503) or attempt == tries - 1:
                    if response.is_error:
                        raise Refused(response)
                    return response
            time.sleep(0.5)
        raise AssertionError("unreachable")

    def pages(self, path: str, **query: Any) -> Iterator[Any]:
        """All items of a paged list."""
        after = None
        while True:
            page = self.get(path, after=after, **query)
            yield from page["items"]
            after = page["next"]
            if after is None:
                return

    def wait_for(
        self, path: str, timeout_s: float = 600.0, progress: Callable[[Any], None] | None = None
    ) -> dict[str, Any]:
        """Follow a batch or task until it is done or failed; raises TimeoutError."""
        deadline = time.monotonic() + timeout_s
        pause_s = 0.02
        while True:
            status: dict[str, Any] = self.get(path)
            if progress:
                progress(status)
            if status["state"] in ("done", "failed"):
                return status
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} is still {status['state']} after {timeout_s:.0f} s")
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 1.0)
