"""Sending leads in batches: what is refused comes back with its reasons, what is accepted is followed until decided.

Sending the same again is safe at any point: the engine knows every lead and counts it as replayed (R3).
"""

import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from billing.lead_files.lead_entries import BadLines, Entry, Line
from scripts.client import Client, Refused

BATCH_LEADS = 1000
BATCH_BYTES = 4 * 1024 * 1024
_SHORTEST_PAUSE_S = 0.02
_LONGEST_PAUSE_S = 0.5
_MOST_PROBLEMS = 1000
_REFUSED_BODIES = {400, 413}


@dataclass(slots=True)
class Counts:
    """What became of everything that was sent so far."""

    accepted: int = 0
    rejected: int = 0
    decided: int = 0
    leads: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    problems: list[dict[str, Any]] = field(default_factory=list)
    possible_correction_count: int = 0
    possible_corrections: list[dict[str, Any]] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        """Accepted leads that are not known to be decided."""
        return self.accepted - self.decided

    @property
    def problem_count(self) -> int:
        """Leads in quarantine; `problems` are the first `_MOST_PROBLEMS` of them."""
        return max(self.leads["quarantined"], len(self.problems))

    def add(self, other: "Counts") -> None:
        """Count another one's leads, too."""
        self.accepted += other.accepted
        self.rejected += other.rejected
        self.decided += other.decided
        self.leads.update(other.leads)
        self.actions.update(other.actions)
        self.problems += other.problems[: _MOST_PROBLEMS - len(self.problems)]
        self.possible_correction_count += other.possible_correction_count
        self.possible_corrections += other.possible_corrections[: _MOST_PROBLEMS - len(self.possible_corrections)]

    def to_json(self) -> dict[str, Any]:
        """As the command line prints it."""
        return {
            "accepted": self.accepted,
            "rejected": self.rejected,
            "waiting": self.waiting,
            "leads": dict(self.leads),
            "actions": dict(self.actions),
            "problem_count": self.problem_count,
            "problems": self.problems,
            "possible_correction_count": self.possible_correction_count,
            "possible_corrections": self.possible_corrections,
        }


@dataclass(frozen=True, slots=True)
class RejectedLine:
    """One line that was not accepted, and why."""

    line: Line
    reasons: tuple[str, ...]


class Intake:
    """Takes leads one by one and posts them a thousand at a time.

    `reject` gets every line that is refused, `on_progress`, which may be changed, the counts after each
    step. Raises what the client raises.
    """

    def __init__(
        self,
        client: Client,
        reject: Callable[[RejectedLine], None] = lambda rejected: None,
        on_progress: Callable[[Counts], None] = lambda counts: None,
    ) -> None:
        self.counts = Counts()
        self._client = client
        self._reject = reject
        self.on_progress = on_progress
        self._entries: list[Entry] = []
        self._bytes = 0
        self._pending: deque[tuple[str, int]] = deque()

    def add(self, read: Entry | BadLines) -> None:
        """Take one lead, or lines that are none."""
        if isinstance(read, BadLines):
            self._refuse(read.lines, {None: [read.reason]})
            return
        self._entries.append(read)
        self._bytes += len(read.body)
        if len(self._entries) >= BATCH_LEADS or self._bytes >= BATCH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Post what was taken and not posted yet."""
        entries, self._entries, self._bytes = self._entries, [], 0
        if entries:
            self._post(entries)
            self._look_at_oldest()
            self.on_progress(self.counts)

    def follow(self, patience_s: float) -> bool:
        """Wait until everything is decided; False if nothing more was decided for `patience_s` seconds."""
        deadline, pause_s = time.monotonic() + patience_s, _SHORTEST_PAUSE_S
        while self._pending:
            if self._look_at_oldest():
                deadline, pause_s = time.monotonic() + patience_s, _SHORTEST_PAUSE_S
                self.on_progress(self.counts)
                continue
            if time.monotonic() > deadline:
                return False
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
        return True

    def _post(self, entries: Sequence[Entry]) -> None:
        try:
            answer = self._client.post_ndjson("/leads", b"\n".join(entry.body for entry in entries), partial="true")
        except Refused as refused:
            if refused.status not in _REFUSED_BODIES:
                raise
            # Too large as a whole, or with more errors than one answer lists: in smaller parts each lead gets its own.
            if len(entries) > 1 and (refused.status == 413 or "errors_left_out" in refused.problem):
                middle = len(entries) // 2
                self._post(entries[:middle])
                self._post(entries[middle:])
                return
            errors = refused.problem.get("errors") or [{"detail": str(refused)}]
            self._refuse_entries(entries, errors)
            return
        self.counts.accepted += answer["accepted"]
        self._pending.append((answer["status_url"], answer["accepted"]))
        self._refuse_entries(entries, answer["rejected"])

    def _refuse_entries(self, entries: Sequence[Entry], errors: Iterable[dict[str, Any]]) -> None:
        by_lead: dict[int, dict[int | None, list[str]]] = defaultdict(lambda: defaultdict(list))
        for error in errors:
            action, reason = _action_and_reason(error)
            for index in [error["index"]] if "index" in error else range(len(entries)):
                by_lead[index][action].append(reason)
        for index, reasons in by_lead.items():
            self._refuse(entries[index].lines, reasons)

    def _refuse(self, lines: Sequence[Line], reasons: dict[int | None, list[str]]) -> None:
        """Each line with its own reasons; a line without any shares its lead's fate."""
        self.counts.rejected += 1
        places = dict(enumerate(lines)) if len(lines) > 1 else {}
        of_lead = [reason for action, found in reasons.items() if action not in places for reason in found]
        bad = ", ".join(
            str(places[action].number) for action in sorted(a for a in reasons if a in places if a is not None)
        )
        for place, line in enumerate(lines):
            own = of_lead + (reasons.get(place, []) if places else [])
            self._reject(RejectedLine(line, tuple(own or [f"belongs to the same lead as line {bad}"])))

    def _look_at_oldest(self) -> bool:
        """Whether the oldest batch that was not known to be decided is decided now."""
        if not self._pending:
            return False
        url, accepted = self._pending[0]
        status = self._client.get(url)
        if status["state"] != "done":
            return False
        self._pending.popleft()
        self.counts.decided += accepted
        self.counts.leads.update(status["leads"])
        self.counts.actions.update(status["actions"])
        self.counts.possible_correction_count += status["possible_correction_count"]
        for name, found in (
            ("problems", self.counts.problems),
            ("possible_corrections", self.counts.possible_corrections),
        ):
            found += status[name]
            if following := status[f"{name}_next"]:
                rest = self._client.pages(f"{url}/{name.replace('_', '-')}", after=following)
                found += islice(rest, max(_MOST_PROBLEMS - len(found), 0))
            del found[_MOST_PROBLEMS:]
        return True


def _action_and_reason(error: dict[str, Any]) -> tuple[int | None, str]:
    """Which action a error is about, and the error as a message: "/actions/0/timestamp must have a time zone"."""
    _, *path = str(error.get("pointer", "#")).split("/")
    inside = path[1:] if "index" in error else path
    place = "/" + "/".join(inside) if inside else ""
    action = int(inside[1]) if len(inside) > 1 and inside[0] == "actions" and inside[1].isdigit() else None
    return action, f"{place} {error['detail']}".strip()
