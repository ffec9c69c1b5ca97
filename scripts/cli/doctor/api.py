"""What `leadger doctor` asks the API."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self

from prometheus_client.parser import text_string_to_metric_families

from db.core.version import version
from scripts.cli.doctor.findings import Examined, Finding, broken, fine, unknown, warning
from scripts.client import Client, ClientError, Refused, Unreachable

_PATIENCE_S = 10.0
_PROBE_S = 12.0
_SWEPT_S = 4.0  # the sweeper takes up what is older than five seconds
_MOST_SKEW_S = 5
_NOT_LET_THROUGH = 404
_NO_ROW = 2**62  # no quarantined lead has such a number
_START = "start it with `scripts/run`, or name the running one with LEADGER_URL or --url"
_NEW_KEY = "give a valid key with LEADGER_API_KEY or --key; make one with an admin key by `leadger keys create`"
_DEGRADED = {
    "redis": "start Redis, or correct REDIS_URL; leads are accepted meanwhile and billed once it is back",
    "worker": "start a worker: `celery -A worker.app worker`, or `scripts/run` for everything",
}
_ON_PURPOSE = {
    "paused": "`leadger resume`, once there is no reason for it any more",
    "backpressure": "start more workers, and see `leadger stuck list`; senders try again by themselves",
}
# Each is refused for its content if the key has the scope, so none of them does anything.
_PROBES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ingest": ("POST", "/leads", {"content": b"[]", "headers": {"Content-Type": "application/json"}}),
    "read": ("GET", "/leads", {"params": {"limit": "0"}}),
    "bill": ("POST", "/billing/reports/rebuild", {"json": {}}),
    "pricing": ("POST", "/api/rate-cards", {"json": {}}),
    "metrics": ("GET", "/metrics", {}),
    "admin": ("POST", "/api/keys", {"json": {}}),
}


class ApiCheck:
    """Asks one API; `findings` first."""

    def __init__(self, what: Examined) -> None:
        self._what = what
        self._client: Client | None = None
        self._scopes: list[str] = []
        self._paused = False
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def findings(self) -> Iterator[Finding]:
        """Whether it answers, its clock, whether it accepts leads, what the key may do, and what piles up."""
        alive = self._alive()
        yield alive
        if self._client is None:
            return
        yield self._clock(self._client)
        yield from self._ready(self._client)
        yield self._key(self._client)
        if "metrics" in self._scopes:
            yield from self._figures(self._client)

    def worker(self) -> Finding:
        """Whether the background worker is there, by a task that has nothing to do; `/ready` says if leads wait."""
        if self._client is None or "admin" not in self._scopes:
            return unknown("Worker", "asking for it needs Redis or an admin key", "set REDIS_URL, or give an admin key")
        if self._paused:
            return unknown("Worker", "whether one is there only shows when it works", _ON_PURPOSE["paused"])
        started = time.monotonic()
        try:
            accepted = self._client.post("/api/quarantine/retry", {"ids": [_NO_ROW]})
            self._client.wait_for(accepted["status_url"], timeout_s=_PROBE_S)
        except TimeoutError:
            return broken("Worker", f"a background task waited for {_PROBE_S:.0f} s in vain", _DEGRADED["worker"])
        except ClientError as error:
            return broken("Worker", str(error), _START)
        seconds = time.monotonic() - started
        if seconds > _SWEPT_S:
            return warning(
                "Worker", f"it answers, but only after {seconds:.0f} s, when the sweeper came by", _DEGRADED["redis"]
            )
        return fine("Worker", f"the background worker did a task within {seconds * 1000:.0f} ms")

    def _alive(self) -> Finding:
        if not self._what.url:
            return broken("API", "it is not known where it is", _START)
        try:
            client = Client(self._what.url, self._what.api_key or "none", timeout_s=_PATIENCE_S, patience_s=0)
            self._opened.enter_context(client)
            status = client.get("/health")
        except ClientError as error:
            return broken("API", str(error), _START)
        if not isinstance(status, dict) or status.get("status") != "ok":
            return broken("API", f"what answers at {client.url} is not Leadger", _START)
        self._client = client
        if (theirs := status.get("version", "0.1")) != version():
            return warning(
                "API",
                f"{client.url} answers, but is version {theirs}",
                f"use the `leadger` of that version; this one is {version()}",
            )
        return fine("API", f"{client.url} answers")

    def _clock(self, client: Client) -> Finding:
        """Both clocks, to the second, which is all that HTTP says."""
        date = client.send("GET", "/health").headers.get("Date")
        if not date:
            return unknown("Clock", "the API's answers carry no date", "compare the clocks by hand")
        apart_s = abs((datetime.now(UTC) - parsedate_to_datetime(date)).total_seconds())
        if apart_s > _MOST_SKEW_S:
            return warning(
                "Clock",
                f"this machine's and the API's are {apart_s:.0f} s apart",
                "let both follow a time server (NTP)",
            )
        return fine("Clock", f"this machine's and the API's agree to {_MOST_SKEW_S} s")

    def _ready(self, client: Client) -> Iterator[Finding]:
        try:
            degraded = client.get("/ready")["degraded"]
        except Refused as refused:
            if refused.status == _NOT_LET_THROUGH:
                yield unknown(
                    "Acceptance",
                    "what stands before the API lets nobody ask for /ready",
                    "see whether its load balancer finds it healthy",
                )
                return
            yield broken(
                "Acceptance", str(refused), "start PostgreSQL, correct DATABASE_URL, or run `alembic upgrade head`"
            )
            return
        except Unreachable as error:
            yield broken("Acceptance", str(error), _START)
            return
        yield fine("Acceptance", "leads are accepted")
        for entry in degraded:
            part, _, detail = entry.partition(": ")
            if fix := _ON_PURPOSE.get(part):
                if part == "paused":
                    self._paused = True
                    detail = _pause(client) or detail
                yield warning(part.capitalize(), detail, fix)
                continue
            yield broken(f"{part.capitalize()}, says the API", detail, _DEGRADED.get(part, "see the logs"))

    def _key(self, client: Client) -> Finding:
        if not self._what.api_key:
            return broken("API key", "there is none", _NEW_KEY)
        try:
            self._scopes = [scope for scope, probe in _PROBES.items() if _may(client, *probe)]
        except ClientError as error:
            return broken("API key", str(error), _NEW_KEY)
        if not self._scopes:
            return warning("API key", "it is valid and may do nothing", _NEW_KEY)
        return fine("API key", f"valid for {', '.join(self._scopes)}")

    def _figures(self, client: Client) -> Iterator[Finding]:
        families = text_string_to_metric_families(client.send("GET", "/metrics").text)
        figures = {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}
        waiting, oldest_s = (
            figures.get("leadger_inbox_waiting_leads", 0),
            figures.get("leadger_inbox_oldest_seconds", 0),
        )
        if waiting:
            detail = f"{waiting:,.0f} leads wait, the oldest for {oldest_s:.0f} s"
            fix = "`leadger stuck list` says what keeps them from being decided"
            yield fine("Waiting", detail) if oldest_s < _PROBE_S else warning("Waiting", detail, fix)
        for name, part, what, fix in (
            (
                "leadger_dead_letters",
                "Dead letters",
                "leads",
                "`leadger dead-letters list` says why, `… retry` tries again",
            ),
            ("leadger_quarantined_leads", "Quarantine", "leads", "`leadger quarantine list` says what is missing"),
            (
                "leadger_mails_given_up",
                "Mail given up",
                "addresses",
                "`leadger mails list` says why, `… retry` tries again",
            ),
        ):
            if figures.get(name):
                yield warning(part, f"{figures[name]:,.0f} {what} are there", fix)
        if figures.get("leadger_invariant_violations"):
            count = figures["leadger_invariant_violations"]
            yield broken(
                "Sums",
                f"{count:,.0f} customer periods do not add up",
                "the worker's log names them; then `leadger rebuild`",
            )
        if figures.get("leadger_proof_differences"):
            detail = (
                f"{figures['leadger_proof_differences']:,.0f} issued bills or accounts are not what they were made from"
            )
            yield broken("Proofs", detail, "issue no bill; the worker's log names them")


def _may(client: Client, method: str, path: str, request: dict[str, Any]) -> bool:
    try:
        client.send(method, path, **request)
    except Refused as refused:
        if refused.status == 401:
            raise
        return refused.status == 400
    return True


def _pause(client: Client) -> str:
    """Who paused the workers, when and why, which only a key that may read is told."""
    try:
        pause = client.get("/api/workers")["pause"]
    except ClientError:
        return ""
    return f"since {pause['paused_at']} by {pause['paused_by']}: {pause['reason']}" if pause else ""
