"""Whether the database says, after a load, what the oracle says, to the cent."""

import asyncio
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import asyncpg
import msgspec

from scripts.dev.bench import ledger
from scripts.dev.bench.expected import Expected, Job
from scripts.dev.bench.load import Result
from scripts.dev.bench.traffic import Traffic, to_plain

PERIOD = 202404
_MOST_SHOWN = 5
_LIMIT_S = 600

Key = TypeVar("Key")


class WrongTotals(Exception):
    """The database and the oracle disagree; the message names the first differences."""


@dataclass(frozen=True)
class Check:
    """What was compared, in words for the output."""

    method: str

    def __str__(self) -> str:
        return self.method


def check(
    home: Path, database_url: str, loads: Sequence[tuple[Traffic, Result]], most_actions: int, undecided: int = 0
) -> Check:
    """Compare every total with the oracle's; above `most_actions` those of every n-th customer, and conservation.

    `undecided` leads are to be quarantined or dead letters. Raises WrongTotals.
    """
    if unanswered := sum(result.unanswered for _, result in loads):
        raise WrongTotals(f"{unanswered} requests got no answer, so nobody can say what was accepted")
    sent = sum(len(result.acknowledged) * traffic.batch * traffic.actions for traffic, result in loads)
    sample = max(-(-sent // most_actions), 1)
    job = Job([(to_plain(traffic), result.acknowledged) for traffic, result in loads], sample)
    wanted = _ask_oracle(home, job)
    asyncio.run(_compare(database_url, wanted, sample, undecided))
    if sample == 1:
        return Check(f"all {len(wanted.customers)} customers and {len(wanted.products)} products")
    return Check(f"1 in {sample} customers ({len(wanted.customers)}), counts of all, conservation of all")


def _ask_oracle(home: Path, job: Job) -> Expected:
    job_file, result_file = home / "oracle-job.json", home / "oracle-result.json"
    job_file.write_bytes(msgspec.json.encode(job))
    words = [sys.executable, "-m", "scripts.dev.bench.expected", str(job_file), str(result_file)]
    subprocess.run(words, check=True, timeout=_LIMIT_S)
    return msgspec.json.decode(result_file.read_bytes(), type=Expected)


async def _compare(database_url: str, wanted: Expected, sample: int, undecided: int) -> None:
    connection = await asyncpg.connect(database_url)
    try:
        counted = await ledger.counters(connection, PERIOD)
        recounted = await ledger.recounted(connection, PERIOD)
        products = await ledger.products(connection, PERIOD)
        found_undecided = await ledger.count_undecided(connection)
    finally:
        await connection.close()
    if found_undecided != undecided:
        raise WrongTotals(f"{found_undecided} leads are quarantined or dead letters instead of {undecided}")
    have = {"leads": _sum(counted, "leads"), "actions": _sum(counted, "actions")}
    _same("all", {"all": {"leads": wanted.leads, "actions": wanted.actions}}, {"all": have})
    _same("the counters and the rows of customer", recounted, counted)
    by_customer = {customer: totals for (customer, _), totals in recounted.items()}
    if sample == 1:
        _same("customer", wanted.customers, by_customer)
        _same("product", {name: t for name, t in wanted.products.items() if t["actions"]}, products)
    else:
        _same(
            "customer", wanted.customers, {name: by_customer[name] for name in wanted.customers if name in by_customer}
        )
    for name in ("leads", "actions", "gross", "billed"):
        if sum(totals[name] for totals in products.values()) != _sum(counted, name):
            raise WrongTotals(f"the products' and the customers' {name} differ")


def _sum(totals: Mapping[tuple[str, str], ledger.Totals], name: str) -> int:
    return sum(each[name] for each in totals.values())


def _same(what: str, wanted: Mapping[Key, ledger.Totals], have: Mapping[Key, ledger.Totals]) -> None:
    differing = [key for key in wanted.keys() | have.keys() if wanted.get(key) != have.get(key)]
    if differing:
        shown = "\n".join(f"  {key}: wanted {wanted.get(key)}, have {have.get(key)}" for key in differing[:_MOST_SHOWN])
        raise WrongTotals(f"{len(differing)} totals of {what} differ:\n{shown}")
