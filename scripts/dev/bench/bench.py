"""What the rows have in common: the servers, the sizes, and how a load is sent, waited for and checked."""

import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from scripts.dev.bench.check import Check, check
from scripts.dev.bench.ledger import drain
from scripts.dev.bench.load import Plan, Result
from scripts.dev.bench.processes import Leadger
from scripts.dev.bench.servers import Database, Servers
from scripts.dev.bench.sizes import Sizes
from scripts.dev.bench.traffic import Traffic, to_plain

_LONGEST_LOAD_S = 120.0
_LONGEST_DRAIN_S = 300.0


class LoadFailed(Exception):
    """The load process itself did not do its work."""


@dataclass
class Bench:
    """One invocation of `scripts/bench`."""

    servers: Servers
    sizes: Sizes
    repeats: int
    workers: int
    quiet: bool = False
    filled: dict[int, Database] = field(default_factory=dict)
    """Databases with so many actions in them, see `scripts.dev.bench.filled`."""
    texts: dict[str, str] = field(default_factory=dict)
    """What the rows have to say beside their figures, by the mark of its place in the documentation."""
    began: float = field(default_factory=time.monotonic)

    def say(self, line: str) -> None:
        """Show one line to the person who waits."""
        if not self.quiet:
            print(f"[{time.monotonic() - self.began:6.1f} s] {line}", file=sys.stderr, flush=True)

    def send(
        self,
        port: int,
        key: str,
        traffic: Traffic,
        rate: float,
        *,
        connections: int = 64,
        backlog: int = 256,
        more_ports: Sequence[int] = (),
    ) -> Result:
        """Send a load from a process of its own at `rate` leads a second; 0: as fast as answers come."""
        plan = Plan(
            ports=[port, *more_ports],
            path="/leads",
            key=key,
            traffic=to_plain(traffic),
            rate=rate / traffic.batch,
            connections=connections,
            backlog=backlog,
            limit_s=_LONGEST_LOAD_S,
        )
        plan_file, result_file = self.servers.home / "load-plan.json", self.servers.home / "load-result.json"
        plan_file.write_bytes(msgspec.json.encode(plan))
        words = [sys.executable, "-m", "scripts.dev.bench.load", str(plan_file), str(result_file)]
        subprocess.run(words, check=True, timeout=3 * _LONGEST_LOAD_S)
        result = msgspec.json.decode(result_file.read_bytes(), type=Result)
        refused = {status: count for status, count in result.statuses.items() if status not in ("202", "429", "503")}
        if refused or not result.acknowledged:
            raise LoadFailed(f"the load got answers that it should not get: {result.statuses}")
        return result

    def drained(self, leadger: Leadger) -> float:
        """Wait until everything is billed; the instant of the last commit, in seconds since the epoch."""
        return drain(leadger.database.url, _LONGEST_DRAIN_S)[0]

    def checked(self, leadger: Leadger, loads: Sequence[tuple[Traffic, Result]], undecided: int = 0) -> Check:
        """Let the oracle check everything that the loads brought; so many leads beside them are to be quarantined."""
        return check(self.servers.home, leadger.database.url, loads, self.sizes.oracle_actions, undecided)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]
