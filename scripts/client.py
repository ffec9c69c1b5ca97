"""The HTTP client behind the command line, the samples and the seed."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

_OWN_MACHINE = {"127.0.0.1", "::1", "localhost"}
_PATIENCE_S = 30.0
_SHORTEST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 1.0


class ClientError(Exception):
    """What kept a call from being done, as one message for a person.

    ClientError
    ├── Refused      the API refused
    ├── Unreachable  nothing answers at the URL, or nothing that is Leadger
    └── Unfinished   it was accepted, and is still not done
    """


class Refused(ClientError):
    """The API refused; the message is what it said."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        try:
            self.problem: dict[str, Any] = response.json()
        except ValueError:
            self.problem = {}
        super().__init__(self._message(response))

    def _message(self, response: httpx.Response) -> str:
        if self.status == httpx.codes.UNAUTHORIZED:
            return (
                f"{response.url.scheme}://{response.url.netloc.decode()} refused the API key: give a valid one "
                "with --key or LEADGER_API_KEY; whoever has an admin key makes one with `leadger keys create`."
            )
        return str(self.problem.get("detail") or f"{response.status_code} {response.reason_phrase}")


class Unreachable(ClientError):
    """Nothing answers at the URL."""


class Unfinished(ClientError, TimeoutError):
    """A batch or task that was not done in time; it goes on by itself."""


class Client:
    """Leadger's API with an API key.

    Waits and tries again for up to `patience_s` while the answer is 429 or 503, or when a server that has
    answered before is away for a moment.
    """

    def __init__(self, url: str, api_key: str, timeout_s: float = 60.0, patience_s: float = _PATIENCE_S) -> None:
        self.url = url.rstrip("/")
        self._patience_s = patience_s
        self._answered = False
        try:
            host = urlsplit(self.url).hostname
            self._http = httpx.Client(
                base_url=self.url,
                headers={"Authorization": f"Bearer {api_key}"},
                timeout=timeout_s,
                # A proxy that the environment names cannot reach this machine's own addresses.
                trust_env=host not in _OWN_MACHINE,
            )
        except UnicodeEncodeError:
            raise Unreachable("The API key has characters that no key has; copy it again.") from None
        except (ValueError, httpx.InvalidURL):
            host = None
        if not host or urlsplit(self.url).scheme not in ("http", "https"):
            raise Unreachable(f"{url!r} is not an address like http://127.0.0.1:8000.")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def sign_in(self, email: str, password: str) -> None:
        """Go on as a person instead of with the key, until the client ends."""
        self._http.headers.pop("Authorization", None)
        session = self.post("/api/session", {"email": email, "password": password})
        self._http.headers["X-CSRF-Token"] = session["csrf_token"]

    def sign_out(self) -> None:
        """End the session that `sign_in` began."""
        self.delete("/api/session")

    def get(self, path: str, **query: Any) -> Any:
        """GET JSON; None values are left out of the query."""
        return self._json(self.send("GET", path, params=_without_none(query)))

    def post(self, path: str, body: Any = None, *, repeatable: bool = True, **query: Any) -> Any:
        """POST JSON and return the answer's JSON.

        `repeatable` false: do not send it again when the connection broke before the answer came.
        """
        body = {} if body is None else body
        return self._json(self.send("POST", path, repeatable=repeatable, json=body, params=query))

    def post_ndjson(self, path: str, body: bytes, **query: Any) -> Any:
        """POST one JSON value per line and return the answer's JSON."""
        headers = {"Content-Type": "application/x-ndjson"}
        return self._json(self.send("POST", path, content=body, headers=headers, params=query))

    def patch(self, path: str, body: Any) -> Any:
        """PATCH JSON and return the answer's JSON."""
        return self._json(self.send("PATCH", path, json=body))

    def delete(self, path: str) -> None:
        """DELETE, sent once: a second one would be answered with 404. Raises Refused or Unreachable."""
        self.send("DELETE", path, repeatable=False)

    def send(self, method: str, path: str, *, repeatable: bool = True, **request: Any) -> httpx.Response:
        """One request; raises Refused for an error answer and Unreachable if nobody answers."""
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                response = self._http.request(method, path, **request)
            except httpx.ConnectError as error:
                if not self._answered or time.monotonic() > deadline:
                    raise Unreachable(f"Nothing answers at {self.url}; is Leadger running? ({error})") from None
                pause_s = 0.5
            except httpx.HTTPError as error:
                if not repeatable or time.monotonic() > deadline:
                    raise Unreachable(
                        f"{self.url} did not answer, and whether it did what was asked is not known: "
                        f"{error or type(error).__name__}."
                    ) from None
                pause_s = 0.5
            else:
                self._answered = True
                pause_s = _retry_after_s(response)
                if response.status_code not in (429, 503) or time.monotonic() + pause_s > deadline:
                    return _checked(response)
            time.sleep(pause_s)

    @contextmanager
    def stream(self, path: str, **query: Any) -> Iterator[Iterator[bytes]]:
        """GET a body of any size in pieces."""
        try:
            with self._http.stream("GET", path, params=_without_none(query)) as response:
                if response.is_error:
                    response.read()
                _checked(response)
                yield response.iter_bytes()
        except httpx.ConnectError as error:
            raise Unreachable(f"Nothing answers at {self.url}; is Leadger running? ({error})") from None
        except httpx.HTTPError as error:
            raise Unreachable(f"The answer of {self.url} broke off: {error or type(error).__name__}.") from None

    def pages(self, path: str, *, after: str | None = None, **query: Any) -> Iterator[Any]:
        """All items of a paged list, or those after a place in it."""
        while True:
            page = self.get(path, after=after, **query)
            yield from page["items"]
            after = page["next"]
            if after is None:
                return

    def wait_for(
        self, path: str, timeout_s: float = 600.0, progress: Callable[[Any], None] | None = None
    ) -> dict[str, Any]:
        """Follow a batch or task until it is done or failed; raises Unfinished."""
        deadline = time.monotonic() + timeout_s
        pause_s = _SHORTEST_PAUSE_S
        while True:
            status: dict[str, Any] = self.get(path)
            if progress:
                progress(status)
            if status["state"] in ("done", "failed"):
                return status
            if time.monotonic() > deadline:
                raise Unfinished(
                    f"{path} is still {status['state']} after {timeout_s:.0f} s and goes on by itself; "
                    "`leadger doctor` says whether a worker is there."
                )
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)

    def _json(self, response: httpx.Response) -> Any:
        try:
            return response.json()
        except ValueError:
            raise Unreachable(f"What answers at {self.url} is not Leadger.") from None


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_error:
        raise Refused(response)
    return response


def _retry_after_s(response: httpx.Response) -> float:
    try:
        return max(0.1, float(response.headers.get("Retry-After", 0.5)))
    except ValueError:
        return 0.5


def _without_none(query: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in query.items() if value is not None}
