"""Nothing on the way of a lead, and nothing that is read every day, grows with what is stored."""

from collections import defaultdict
from collections.abc import Mapping

import asyncpg
import uvloop

from scripts.dev.bench.bench import Bench
from scripts.dev.bench.figures import GROWS, Figure
from scripts.dev.bench.filled import filled
from scripts.dev.bench.plans.batch import Cast, count_of_actions
from scripts.dev.bench.plans.judgement import LARGE, Judged, Statement, judge
from scripts.dev.bench.plans.names import Catalogue, catalogue
from scripts.dev.bench.plans.reading import Reading, reading
from scripts.dev.bench.plans.recorder import Recorder, explain_everything
from scripts.dev.bench.plans.scene import opened
from scripts.dev.bench.plans.text import plans_text
from scripts.dev.bench.servers import Database, Servers

_MODES = {"custom": "force_custom_plan", "generic": "force_generic_plan"}
_MOST_BUSY = 100
_HOT = ("api", "backpressure", "worker", "sweeper")
_PAGE = 100
"""Rows that a reader asks for."""
_PLANNED_EACH_TIME = ("worker", "sweeper")
"""Whose connections keep no plan, see `db.core.engine.create_engine`."""

Readings = dict[Statement, list[Reading]]


def plans(bench: Bench) -> list[Figure]:
    """Every statement's plan with so much stored and with a tenth of it, planned for its parameters and for any."""
    stored = bench.sizes.stored_actions
    few, _ = _measure(bench, stored // 10)
    many, sizes = _measure(bench, stored)
    asked = count_of_actions(_casts(bench)[0].batch())
    judged = [
        judge(statement, few.get(statement, ()), calls, sizes, asked_for(statement, asked))
        for statement, calls in many.items()
    ]
    bench.texts["plans"] = plans_text(judged, stored, asked, _HOT)
    hot = [each for each in judged if each.statement.path in _HOT]
    read = [each for each in judged if each.statement.path not in _HOT]
    is_large = sizes["actions"] >= LARGE and stored // 10 >= LARGE
    return [_figure("on the way of a lead", hot, stored, is_large), _figure("of readers", read, stored, is_large)]


def asked_for(statement: Statement, batch: int) -> int:
    """How many rows a statement is about: those of the batch on the way of a lead, else those of a page."""
    return batch if statement.path in _HOT else _PAGE


def _figure(which: str, judged: list[Judged], stored: int, is_large: bool) -> Figure:
    growing = {each.statement.name for each in judged if each.faults}
    figure = Figure(f"plans {which}, {stored:,} actions stored", "no statement grows", "of them grow", [len(growing)])
    figure.notes = [f"{each.statement}: {'; '.join(each.faults)}" for each in judged if each.faults]
    figure.notes.append(f"{len({each.statement.name for each in judged})} statements")
    if not is_large:
        figure.check = "too little is stored to judge"
        return figure
    figure.meets = not growing
    figure.check = GROWS if growing else "each plan as it was run"
    return figure


def _casts(bench: Bench) -> list[Cast]:
    world = filled(bench, 0).world
    busy = min(_MOST_BUSY, world.customers // 10)
    return [Cast(world, name, number * busy * 4, busy) for number, name in enumerate(_MODES)]


def _measure(bench: Bench, stored: int) -> tuple[Readings, Mapping[str, int]]:
    database = bench.servers.copy(filled(bench, stored))
    bench.say(f"plans: {stored:,} actions stored")
    casts = _casts(bench)
    uvloop.run(_prepare(bench.servers, database, casts, stored))
    measured: Readings = defaultdict(list)
    known = uvloop.run(_catalogue(database))
    for cast, mode in zip(casts, _MODES.values(), strict=True):
        explain_everything(bench.servers, database, mode)
        for statement, read in uvloop.run(readings_of(bench.servers, database, cast, known, stored)).items():
            measured[statement] += read
    bench.servers.drop(database)
    return measured, known.sizes


async def _prepare(servers: Servers, database: Database, casts: list[Cast], stored: int) -> None:
    async with opened(servers, database) as scene:
        await scene.prepare(stored)
        for cast in casts:
            await scene.remember(cast)


async def readings_of(servers: Servers, database: Database, cast: Cast, known: Catalogue, stored: int) -> Readings:
    """What each statement of a batch, and of those who read afterwards, looked at."""
    recorder = Recorder()
    with recorder.listening():
        async with opened(servers, database) as scene:
            await scene.play(cast, recorder, stored)
    readings: Readings = defaultdict(list)
    for each in recorder.explained:
        if cast.name == "generic" and each.path in _PLANNED_EACH_TIME:
            continue
        if name := known.name(each.text, recorder.senders):
            statement = Statement(each.path, name, cast.name)
            readings[statement].append(reading(each.plan, each.taken_ms, known.indexes))
    return readings


async def _catalogue(database: Database) -> Catalogue:
    connection = await asyncpg.connect(database.url)
    try:
        return await catalogue(connection)
    finally:
        await connection.close()
