"""Every page as people ask for it, with very much stored: the time of an answer, and its size as it travels."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import asyncpg
import httpx

from scripts.dev.bench.bench import Bench
from scripts.dev.bench.browsing.asked import Asked, all_asked
from scripts.dev.bench.browsing.cast import PASSWORD, ROLES, Cast, made
from scripts.dev.bench.figures import Figure
from scripts.dev.bench.page import markdown
from scripts.dev.bench.processes import Leadger, api
from scripts.dev.bench.usage import cpu_s, of_folder, of_session, used_s

_ASKED_TIMES = 10
_MOST_MS = 100
_MOST_KB = 60
_NAMED = 5
_LISTED = 20
_PACKED_FROM_BYTES = 1024


@dataclass(frozen=True)
class Answer:
    """The answers to one page: milliseconds of each, what API and Postgres worked for one, and the bytes that came."""

    asked: Asked
    taken_ms: list[float]
    cpu_ms: float
    size_bytes: int

    @property
    def path(self) -> str:
        """What was asked for, without the place where a page in the middle begins."""
        return self.asked.path.partition("after=")[0] + ("after=…" if "after=" in self.asked.path else "")

    def __str__(self) -> str:
        took = f"{median(self.taken_ms):.0f} ms, {self.cpu_ms:.0f} ms of CPU time"
        return f"{self.path} as {self.asked.role or 'nobody'}: {took}"


def pages(bench: Bench) -> list[Figure]:
    """Each page asked once unmeasured and then some times, one request at a time."""
    cast = made(bench, bench.sizes.page_partners)
    name = f"pages ({cast.database.world.partners:,} partners, {cast.actions:,} actions, {cast.bills:,} bills)"
    usual = Figure(f"{name}: slowest page, median", f"≤ {_MOST_MS} ms", "ms", [])
    worst = Figure(f"{name}: slowest answer of all", f"≤ {_MOST_MS} ms", "ms", [])
    working = Figure(f"{name}: CPU time of API and Postgres, most of a page", "–", "ms", [])
    largest = Figure(f"{name}: largest, compressed", f"≤ {_MOST_KB} kB", "kB", [])
    with api(bench.servers, cast.database) as leadger:
        for _ in range(bench.repeats):
            answers = sorted(measured(bench, leadger, cast), key=lambda each: -median(each.taken_ms))
            usual.values.append(median(answers[0].taken_ms))
            worst.values.append(max(max(each.taken_ms) for each in answers))
            working.values.append(max(each.cpu_ms for each in answers))
            largest.values.append(max(each.size_bytes for each in answers) / 1000)
            usual.notes += [str(each) for each in answers[:_NAMED]]
    bench.servers.drop(cast.database)
    for figure in (usual, worst):
        figure.meets = max(figure.values) <= _MOST_MS
    largest.meets = max(largest.values) <= _MOST_KB
    for figure in (usual, worst, working, largest):
        figure.check = f"{len(answers)} pages answered, compressed"
    bench.texts["pages"] = pages_table(answers[:_LISTED])
    return [usual, worst, working, largest]


def measured(bench: Bench, leadger: Leadger, cast: Cast) -> list[Answer]:
    """Every page, each asked by whom it is for."""
    asked = asyncio.run(_all_asked(cast))
    bench.say(f"pages: asking for {len(asked)} pages")
    browsers = {role: _signed_in(leadger, role) for role in ("", *ROLES)}
    api_session = leadger.processes["api"].pid

    def worked_s() -> dict[int, float]:
        return cpu_s([*of_session(api_session), *of_folder(bench.servers.postgres_folder)])

    answers = [_answer(browsers[each.role], each, worked_s) for each in asked]
    for browser in browsers.values():
        browser.close()
    return answers


def pages_table(answers: list[Answer]) -> str:
    """Pages with their times and sizes."""
    head = ["page", "as", "median", "longest", "CPU time", "compressed"]
    return markdown(
        [
            head,
            *[
                [
                    f"`{each.path}`",
                    each.asked.role or "nobody",
                    f"{median(each.taken_ms):.0f} ms",
                    f"{max(each.taken_ms):.0f} ms",
                    f"{each.cpu_ms:.0f} ms",
                    f"{each.size_bytes / 1000:.1f} kB",
                ]
                for each in answers
            ],
        ]
    )


async def _all_asked(cast: Cast) -> list[Asked]:
    connection = await asyncpg.connect(cast.database.url)
    try:
        return await all_asked(connection, cast)
    finally:
        await connection.close()


def _signed_in(leadger: Leadger, role: str) -> httpx.Client:
    headers = {"Accept": "text/html", "Accept-Encoding": "gzip"}
    browser = httpx.Client(base_url=leadger.url, headers=headers, timeout=60, trust_env=False)
    if role:
        body = {"email": f"{role}@example.com", "password": PASSWORD}
        browser.post("/api/session", json=body).raise_for_status()
    return browser


def _answer(browser: httpx.Client, asked: Asked, worked_s: Callable[[], dict[int, float]]) -> Answer:
    browser.get(asked.path)
    taken_ms = []
    before = worked_s()
    for _ in range(_ASKED_TIMES):
        began = time.perf_counter()
        answer = browser.get(asked.path)
        taken_ms.append((time.perf_counter() - began) * 1000)
    cpu_ms = used_s(before, worked_s()) * 1000 / _ASKED_TIMES
    wanted = (404,) if asked.path == "/nothing" else (200, 303)
    if answer.status_code not in wanted:
        raise RuntimeError(f"{asked.path} as {asked.role or 'nobody'} answered {answer.status_code}")
    if len(answer.content) > _PACKED_FROM_BYTES and answer.headers.get("content-encoding") != "gzip":
        raise RuntimeError(f"{asked.path} came uncompressed")
    return Answer(asked, taken_ms, cpu_ms, answer.num_bytes_downloaded)
