"""Runs of the monthly billing (M1 to M3): each partner's period once, whatever fails, is killed or comes twice."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from types import ModuleType
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.bills.lines import Adjustment
from billing.bills.states import Move
from billing.contracts.billing_terms import BillingTerms
from billing.contracts.preferences import Preferences
from billing.errors import RuleViolation
from billing.fraud.rules import RULES
from billing.roles import Role
from billing.runs import Outcome
from db.bills import adjusting, creation, moves, reopening
from db.bills import records as bill_records
from db.bills.moves import Asked as AskedMove
from db.bills.moves import Mover
from db.contracts import billing_settings, billing_terms, seller
from db.contracts.seller import Seller
from db.core import locks
from db.core.actor import Actor, ActorKind
from db.core.engine import transaction
from db.core.settings import Settings
from db.core.tables import metadata
from db.fraud import set_rules
from db.fraud.set_rules import RuleChange
from db.runs import billing as run_billing
from db.runs import differences, planning, records, scheduler, starting, wire
from db.runs.records import Asked, Item
from db.tasks import records as tasks
from db.telemetry import counters
from tests.builders import distinct, lead
from tests.people import new_person
from tests.world import World
from worker import billing_scheduler
from worker.runtime import Runtime
from worker.task_kinds import RUNNER
from worker.tasks import runs
from worker.tasks.reports import snapshot_changed

APRIL, MAY = 202404, 202405


class Killed(BaseException):
    """What a killed process never gets to say."""


@pytest.fixture
async def world(world: World) -> World:
    """Three partners: acme and globex with leads of April and May, and initech without any."""
    for partner, product in (("globex", "gps"), ("initech", "tps")):
        await world.partner(partner)
        await world.product(product, partner)
    for product in ("crm", "gps"):
        for month in ("04", "05"):
            await world.accept(*distinct(2, f"2024-{month}-10T09:00:00Z", customer="ann", product=product))
    return world


async def started(runtime: Runtime, **asked: Any) -> UUID:
    async with runtime.unit_of_work() as uow:
        return await records.start(uow, Asked("api", **{"period": APRIL} | asked))


async def finished(runtime: Runtime, run_id: UUID) -> list[Item]:
    """Run it to its end as a worker does, whatever the back-off, and return its items."""
    async with transaction(runtime.engine) as connection:
        task_id = await records.task_of(connection, run_id)
    for _ in range(20):
        await RUNNER.run(runtime, task_id)
        async with transaction(runtime.engine) as connection:
            await connection.execute("UPDATE billing_run_items SET next_attempt_at = clock_timestamp()")
            run = await records.read(connection, run_id)
            assert run is not None
            if run.state == "done":
                return await records.items(connection, run_id, limit=100)
    raise AssertionError("The run does not end.")


def ends(items: list[Item]) -> list[tuple[str, int, str | None, int | None]]:
    return [(item.partner, item.period, item.outcome and item.outcome.value, item.gross_minor) for item in items]


async def bills(world: World) -> list[tuple[str, int, str]]:
    async with transaction(world.engine) as connection:
        rows = await connection.fetch(
            """
            SELECT external_id, period, state FROM bills JOIN partners ON partners.id = partner_id
            ORDER BY external_id, period, state
            """
        )
    return [(row[0], row[1], row[2]) for row in rows]


async def rows(engine: AsyncEngine) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    async with transaction(engine) as connection:
        return {
            table: [row[0] for row in await connection.fetch(f'SELECT t::text FROM "{table}" AS t ORDER BY 1')]
            for table in sorted(metadata.tables)
        }


async def test_m1_each_partner_gets_its_bills_oldest_first_and_a_second_run_makes_none(
    runtime: Runtime, world: World
) -> None:
    items = await finished(runtime, await started(runtime, period=MAY))
    assert ends(items) == [
        ("acme", APRIL, "successful", 2000),
        ("acme", MAY, "successful", 2000),
        ("globex", APRIL, "successful", 2000),
        ("globex", MAY, "successful", 2000),
    ]
    made = await bills(world)
    assert [state for *_, state in made] == ["draft"] * 4  # nobody could approve, and that is said
    assert all(item.note and item.note.startswith("Nobody who is active") for item in items)
    again = await finished(runtime, await started(runtime, period=MAY))
    assert ends(again) == [("acme", MAY, "skipped", None), ("globex", MAY, "skipped", None)]
    assert {item.note for item in again} == {"The period has a bill already."}
    assert await bills(world) == made


async def test_m1_a_run_from_python_bills_two_portions_at_once_and_does_not_wait_between_its_turns(
    runtime: Runtime, world: World, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    bill_items, at_work, most, both = runs.bill_items, set[int](), 0, asyncio.Event()

    async def together(*arguments: Any) -> None:
        nonlocal most
        at_work.add(id(arguments))
        most = max(most, len(at_work))
        if most == 2:
            both.set()
        with suppress(TimeoutError):
            await asyncio.wait_for(both.wait(), 2)
        await bill_items(*arguments)
        at_work.remove(id(arguments))

    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("REDIS_URL", settings.redis_url)
    monkeypatch.setattr(planning, "PORTION_PARTNERS", 1)
    monkeypatch.setattr(runs, "TURN_S", 0.0)
    monkeypatch.setattr(runs, "bill_items", together)
    monkeypatch.setattr(billing_scheduler, "POLL_INTERVAL_S", 60.0)
    await world.work()
    async with asyncio.timeout(30):
        done = await billing_scheduler.process_monthly_billing(period="2024-05")
    assert (done["successful"], done["totals"], most) == (4, {"EUR": "80.00"}, 2)


async def test_m1_a_run_whose_task_fails_for_good_ends_as_failed_and_the_next_one_bills_the_rest(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise ValueError("Nobody foresaw this.")

    run_id = await started(runtime, period=MAY, commit="f" * 40)
    async with transaction(runtime.engine) as connection:
        task_id = await records.task_of(connection, run_id)
    with monkeypatch.context() as patch:
        patch.setattr(tasks, "unfinished", broken)
        for attempt in range(5):
            async with transaction(runtime.engine) as connection:
                run = await records.read(connection, run_id)
            assert run
            assert (run.state, run.error) == ("running" if attempt else "waiting", None)
            await RUNNER.run(runtime, task_id)
    async with transaction(runtime.engine) as connection:
        (shown,) = await wire.runs_out(connection, await records.newest(connection, 10))
        counted = await counters.read(connection)
        told = await connection.fetchval("SELECT count(*) FROM tasks WHERE kind = $1", records.REPORT_TO_GITHUB)
    assert (shown["state"], shown["error"]) == ("failed", "An unexpected error: ValueError('Nobody foresaw this.')")
    assert shown["completed_at"]
    assert (shown["processed"], shown["progress"]["total"], await bills(world)) == (0, 4, [])
    assert (counted["runs"], counted["runs_failed"], told) == (1, 1, 1)
    assert [end[2:] for end in ends(await finished(runtime, await started(runtime, period=MAY)))] == [
        ("successful", 2000)
    ] * 4


async def test_m1_a_failure_stops_only_that_partners_later_periods_and_ends_as_a_dead_letter(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, tries = creation.make_locked, 0

    async def failing(uow: Any, policies: Any, partner_ids: Any, period: int) -> Any:
        nonlocal tries
        if world.partners["acme"] in partner_ids and period == APRIL:
            tries += len(partner_ids) == 1
            raise RuleViolation("Acme is special.")
        return await make(uow, policies, partner_ids, period)

    monkeypatch.setattr(creation, "make_locked", failing)
    items = await finished(runtime, await started(runtime, period=MAY))
    assert ends(items) == [
        ("acme", APRIL, "failed", None),
        ("acme", MAY, "waiting", None),
        ("globex", APRIL, "successful", 2000),
        ("globex", MAY, "successful", 2000),
    ]
    assert (items[0].attempts, items[0].error, tries) == (3, "Acme is special.", 3)
    assert items[1].note == "An earlier period of the partner comes first."
    async with transaction(runtime.engine) as connection:
        for most, left_out in ((1, 0), (0, 1)):
            monkeypatch.setattr(wire, "MOST_ERRORS", most)
            (shown,) = await wire.runs_out(connection, await records.newest(connection, 10))
            assert (len(shown["errors"]), shown["errors_left_out"]) == (most, left_out)
    assert [partner for partner, *_ in await bills(world)] == ["globex", "globex"]


@pytest.mark.parametrize(
    ("module", "name"), [(records, "plan"), (run_billing, "bill"), (records, "finish_items"), (records, "finish")]
)
async def test_m1_a_run_that_is_killed_at_any_step_goes_on_and_bills_once(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str
) -> None:
    call = getattr(module, name)

    async def killed(*arguments: Any, **more: Any) -> None:
        await call(*arguments, **more)
        raise Killed

    run_id = await started(runtime, period=MAY)
    async with transaction(runtime.engine) as connection:
        task_id = await records.task_of(connection, run_id)
    with monkeypatch.context() as patch:
        patch.setattr(module, name, killed)
        patch.setattr(runs, "TURN_S", 60.0)
        with pytest.raises(Killed):
            await RUNNER.run(runtime, task_id)
    items = await finished(runtime, run_id)
    assert [(item.outcome, item.gross_minor) for item in items] == [(Outcome.SUCCESSFUL, 2000)] * 4
    assert [bill[:2] for bill in await bills(world)] == [(each.partner, each.period) for each in items]


async def test_m1_two_runs_at_once_bill_once(runtime: Runtime, world: World) -> None:
    first, second = [await started(runtime, period=MAY) for _ in range(2)]
    ended = await asyncio.gather(finished(runtime, first), finished(runtime, second))
    assert len(await bills(world)) == 4
    outcomes = sorted(item.outcome for items in ended for item in items if item.outcome)
    assert outcomes.count(Outcome.SUCCESSFUL) == 4
    assert set(outcomes) <= {Outcome.SUCCESSFUL, Outcome.SKIPPED}


async def test_m1_what_a_person_gave_up_or_reopened_waits_for_people(runtime: Runtime, world: World) -> None:
    await finished(runtime, await started(runtime))
    acme, globex = world.partners["acme"], world.partners["globex"]
    async with runtime.unit_of_work(actor=Actor(ActorKind.KEY, None, "finance")) as uow:
        bill_id = await bill_records.live_of(uow.connection, acme, APRIL)
        assert bill_id
        bill = await bill_records.read(uow.connection, bill_id)
        assert bill
        who = Mover(role=Role.FINANCE)
        await moves.move(uow, bill_id, AskedMove(Move.VOID, bill.head.digest, "Wrong."), who, datetime.now(UTC))
        await reopening.reopen(uow, runtime.policies, globex, APRIL)
    items = await finished(runtime, await started(runtime, period=MAY))
    assert [(item.partner, item.period, item.note) for item in items] == [
        ("acme", APRIL, "Its bill is void; a person makes another."),
        ("acme", MAY, "An earlier period of the partner comes first."),
        ("globex", APRIL, "A person has reopened the period."),
        ("globex", MAY, "An earlier period of the partner comes first."),
    ]
    assert {item.outcome for item in items} == {Outcome.WAITING}


async def test_m1_a_run_submits_and_issues_where_the_terms_say_so(runtime: Runtime, world: World) -> None:
    acme, globex = world.partners["acme"], world.partners["globex"]
    terms = BillingTerms(preferences=Preferences(approvals=(), auto_issue=True))
    async with runtime.unit_of_work() as uow:
        for partner_id in (acme, globex):
            await billing_terms.write(uow.connection, partner_id, 0, terms)
    (unnamed,) = await finished(runtime, await started(runtime, partner_ids=[acme]))
    assert unnamed.bill_state == "approved"
    assert unnamed.note
    assert unnamed.note.startswith("It is not issued: The bill cannot be issued without the seller's name")
    async with runtime.unit_of_work() as uow:
        await seller.write(uow, Seller("Leadger Ltd"))
    (named,) = await finished(runtime, await started(runtime, partner_ids=[globex]))
    assert (named.bill_state, named.note) == ("issued", None)
    async with transaction(runtime.engine) as connection:
        assert await connection.fetchval("SELECT number FROM bills WHERE partner_id = $1", globex) == "GLOBEX-0001"
        kinds = await connection.fetch("SELECT DISTINCT who_kind FROM bill_actions")
    assert [row["who_kind"] for row in kinds] == ["system"]


async def test_m1_a_bill_that_differs_too_much_waits_for_a_person(runtime: Runtime, world: World) -> None:
    strict = replace(runtime, settings=runtime.settings.model_copy(update={"billing_threshold_percent": 10.0}))
    await new_person(strict.engine, "sam", Role.SALES)
    await world.accept(*distinct(1, "2024-05-20T09:00:00Z", customer="ann", product="gps"))
    items = await finished(strict, await started(strict, period=MAY))
    assert [(item.partner, item.period, item.bill_state) for item in items] == [
        ("acme", APRIL, "pending"),
        ("acme", MAY, "pending"),
        ("globex", APRIL, "pending"),
        ("globex", MAY, "draft"),
    ]
    assert items[3].note
    assert items[3].note.startswith("It differs by more than 10 % from that of April 2024")


async def test_m1_dead_letters_are_retried_by_people_only(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def failing(*_: Any) -> None:
        raise RuleViolation("Not now.")

    with monkeypatch.context() as patch:
        patch.setattr(creation, "make_locked", failing)
        await finished(runtime, await started(runtime, period=MAY, partner_ids=[world.partners["acme"]]))
    async with transaction(runtime.engine) as connection:
        found = await planning.due(connection, datetime.now(UTC))
        by_itself = await planning.left_to_scheduler(connection, found)
        letters = await starting.dead_letters(connection, before=None, limit=10)
    assert {each.partner_id for each in by_itself} == {world.partners["globex"]}
    assert [(each.partner, each.period, each.error) for each in letters] == [("acme", APRIL, "Not now.")]
    async with runtime.unit_of_work() as uow:
        (again,) = await starting.retry(uow, [each.id for each in letters])
        assert await starting.retry(uow, [each.id for each in letters]) == []
    assert ends(await finished(runtime, again)) == [
        ("acme", APRIL, "successful", 2000),
        ("acme", MAY, "successful", 2000),
    ]
    async with transaction(runtime.engine) as connection:
        assert await starting.count_dead_letters(connection) == 0


async def test_m2_what_ended_before_the_scheduler_was_enabled_waits_and_the_rest_is_billed_after_its_grace(
    runtime: Runtime, world: World
) -> None:
    async def look(now: datetime) -> bool:
        async with runtime.unit_of_work() as uow:
            return await scheduler.start_if_due(uow, runtime.settings, now)

    await world.work()
    assert not await look(datetime(2024, 5, 3, tzinfo=UTC))  # April has ended before
    assert not await look(datetime(2024, 6, 1, 2, tzinfo=UTC))  # and comes before May
    async with transaction(runtime.engine) as connection:
        await billing_settings.change(connection, world.partners["acme"], {"billing_from": MAY})
    assert not await look(datetime(2024, 6, 1, 1, 59, tzinfo=UTC))
    assert await look(datetime(2024, 6, 1, 2, tzinfo=UTC))
    assert not await look(datetime(2024, 6, 1, 2, tzinfo=UTC))  # one is under way
    (run,) = await newest(runtime)
    items = await finished(runtime, run.id)
    assert {item.partner for item in items} == {"acme"}
    assert ends(items)[0] == ("acme", MAY, "successful", 2000)
    assert {item.outcome for item in items[1:]} == {Outcome.SKIPPED}  # the months until today
    async with transaction(runtime.engine) as connection:
        assert await scheduler.enabled_at(connection) == datetime(2024, 5, 3, tzinfo=UTC)


async def test_m2_three_months_without_beat_are_caught_up_by_one_run_the_oldest_first(
    runtime: Runtime, world: World
) -> None:
    async def look(now: datetime) -> bool:
        async with runtime.unit_of_work() as uow:
            return await scheduler.start_if_due(uow, runtime.settings, now)

    async with runtime.unit_of_work() as uow:
        await seller.write(uow, Seller("Leadger Ltd"))
        for partner_id in world.partners.values():
            terms = BillingTerms(preferences=Preferences(approvals=(), auto_issue=True))
            await billing_terms.write(uow.connection, partner_id, 0, terms)
    await world.accept(*distinct(1, "2024-06-10T09:00:00Z", customer="ann", product="crm"))
    await world.work()
    assert not await look(datetime(2024, 4, 3, tzinfo=UTC))
    back = datetime(2024, 7, 2, tzinfo=UTC)
    assert sorted(await asyncio.gather(look(back), look(back))) == [
        False,
        True,
    ]  # and by one, though beat is there twice
    (run,) = await newest(runtime)
    await finished(runtime, run.id)
    async with transaction(runtime.engine) as connection:
        issued = await connection.fetch("SELECT number, period FROM bills ORDER BY number")
    assert [tuple(row) for row in issued] == [
        ("ACME-0001", APRIL),
        ("ACME-0002", MAY),
        ("ACME-0003", 202406),
        ("GLOBEX-0001", APRIL),
        ("GLOBEX-0002", MAY),
    ]


async def test_m1_a_bill_that_people_approve_is_issued_at_the_next_look_where_the_terms_say_so(
    runtime: Runtime, world: World
) -> None:
    """Failed before: a run issued only what nobody has to approve."""
    sam = await new_person(runtime.engine, "sam", Role.SALES)
    async with runtime.unit_of_work() as uow:
        await seller.write(uow, Seller("Leadger Ltd"))
        for partner, auto_issue in (("acme", True), ("globex", False)):
            terms = BillingTerms(preferences=Preferences(auto_issue=auto_issue))
            await billing_terms.write(uow.connection, world.partners[partner], 0, terms)

    async def look() -> bool:
        async with runtime.unit_of_work() as uow:
            return await scheduler.start_if_due(uow, runtime.settings, datetime.now(UTC))

    async def run_of_look() -> list[tuple[str, int, str | None, str | None]]:
        assert await look()
        items = await finished(runtime, (await newest(runtime))[0].id)
        return [(item.partner, item.period, item.bill_state, item.note) for item in items]

    async def approve(partner: str, period: int) -> None:
        async with runtime.unit_of_work(actor=Actor(ActorKind.USER, sam.id, "sam")) as uow:
            bill_id = await bill_records.live_of(uow.connection, world.partners[partner], period)
            assert bill_id
            bill = await bill_records.read(uow.connection, bill_id)
            assert bill
            mover = Mover(sam.id, Role.SALES)
            await moves.move(uow, bill_id, AskedMove(Move.APPROVE, bill.head.digest), mover, datetime.now(UTC))

    made = await finished(runtime, await started(runtime, period=MAY))
    assert [item.bill_state for item in made] == ["pending"] * 4
    await look()  # enables the scheduler: what has ended waits for people
    for period in (APRIL, MAY):
        await approve("globex", period)
    assert not await look()  # its terms leave issuing to people
    await approve("acme", MAY)
    earlier = "The period has a bill already. It is not issued: The bill of April 2024 is issued first."
    ((*tried, note),) = await run_of_look()
    assert (tried, note) == (["acme", MAY, "approved"], earlier)
    assert not await look()  # nothing has happened since
    await approve("acme", APRIL)
    before, sequences = await rows(runtime.engine), await sequence_values(runtime.engine)
    dry = await finished(runtime, await started(runtime, period=MAY, dry_run=True))
    await check_nothing_is_written(runtime.engine, before, sequences)
    now = "The bill was approved, and is issued now."
    issued = [("acme", APRIL, "issued", now), ("acme", MAY, "issued", now)]
    assert [(item.partner, item.period, item.bill_state, item.note) for item in dry][:2] == issued
    assert await look()
    by_itself, by_hand = (await newest(runtime))[0].id, await started(runtime, period=MAY)
    ended = await asyncio.gather(finished(runtime, by_itself), finished(runtime, by_hand))
    noted = [(item.partner, item.period, item.bill_state, item.note) for items in ended for item in items]
    assert sorted(each for each in noted if each[3] == now) == issued  # once, though two runs see to it
    assert not await look()
    async with transaction(runtime.engine) as connection:
        numbers = await connection.fetch("SELECT number, period FROM bills WHERE number IS NOT NULL ORDER BY number")
        found = await records.figures(connection, [by_itself, by_hand])
    assert [tuple(row) for row in numbers] == [("ACME-0001", APRIL), ("ACME-0002", MAY)]
    assert {sum(each.gross_minor.values()) for each in found.values()} == {
        0
    }  # the run that made the bills has counted them


async def test_m2_a_disabled_scheduler_starts_nothing(world: World, settings: Settings) -> None:
    disabled = settings.model_copy(update={"billing_scheduler_enabled": False})
    async with world.unit_of_work() as uow:
        assert not await scheduler.start_if_due(uow, disabled, datetime(2024, 6, 2, tzinfo=UTC))
        assert await scheduler.enabled_at(uow.connection) is None


async def test_m3_a_dry_run_writes_nothing_and_has_the_figures_of_the_run_that_follows(
    runtime: Runtime, world: World
) -> None:
    await new_person(runtime.engine, "sam", Role.SALES)
    await world.work()
    before, sequences = await rows(runtime.engine), await sequence_values(runtime.engine)
    dry = await finished(runtime, await started(runtime, period=MAY, dry_run=True))
    await check_nothing_is_written(runtime.engine, before, sequences)
    live = await finished(runtime, await started(runtime, period=MAY))
    assert [(*end, item.bill_state) for end, item in zip(ends(dry), dry, strict=True)] == [
        (*end, item.bill_state) for end, item in zip(ends(live), live, strict=True)
    ]
    assert {item.outcome for item in live} == {Outcome.SUCCESSFUL}
    assert [(item.bill_id is None) for item in (*dry, *live)] == [True] * 4 + [False] * 4


async def check_nothing_is_written(
    engine: AsyncEngine, before: dict[str, list[str]], sequences: dict[str, int | None]
) -> None:
    """Nothing but the dry run itself: its row and result, its tasks and its line of the audit."""
    after = await rows(engine)
    own = {"billing_runs", "billing_run_items", "billing_run_figures", "tasks", "audit"}
    assert {table for table in after if after[table] != before[table]} == own
    assert len(after["audit"]) == len(before["audit"]) + 1
    changed = {name for name, value in (await sequence_values(engine)).items() if value != sequences[name]}
    assert changed == {"audit_id_seq"}


async def armed(world: World) -> None:
    """Globex has a burst of five in each month and one action beside it, and the rule for bursts is armed."""
    for month in ("04", "05"):
        instants = [f"2024-{month}-20T09:{minute}:00Z" for minute in ("00", "07", "13", "40", "58")]
        await world.accept(*(each for at in instants for each in distinct(1, at, customer="bob", product="gps")))
    async with world.unit_of_work() as uow:
        await set_rules.change(uow, RULES["customer_burst"], RuleChange(armed=True, limits={"actions": 5}))


async def held(runtime: Runtime) -> list[tuple[str, int, int]]:
    async with transaction(runtime.engine) as connection:
        rows = await connection.fetch(
            """
            SELECT external_id, billing_period, count(*) FROM fraud_holds JOIN actions ON actions.id = action_id
            JOIN partners ON partners.id = actions.partner_id WHERE standing = 'held' GROUP BY 1, 2 ORDER BY 1, 2
            """
        )
    return [(row[0], row[1], row[2]) for row in rows]


async def test_m4_a_run_holds_what_armed_rules_find_and_its_dry_run_has_the_same_figures(
    runtime: Runtime, world: World
) -> None:
    await armed(world)
    await world.work()
    dry = await finished(runtime, await started(runtime, period=MAY, dry_run=True))
    assert await held(runtime) == []
    live = await finished(runtime, await started(runtime, period=MAY))
    assert ends(dry) == ends(live)
    assert ends(live) == [
        ("acme", APRIL, "successful", 2000),
        ("acme", MAY, "successful", 2000),
        ("globex", APRIL, "successful", 2000),  # and not 7000
        ("globex", MAY, "successful", 2000),
    ]
    assert await held(runtime) == [("globex", 202406, 10)]  # held actions move on, and nothing of them is billed


async def test_m3_a_dry_run_of_several_months_has_the_figures_and_states_of_the_run_that_follows(
    runtime: Runtime, world: World
) -> None:
    """What April's screen holds leaves its key to an action of May; May is compared with April, and issued after it."""
    strict = replace(runtime, settings=runtime.settings.model_copy(update={"billing_threshold_percent": 60.0}))
    terms = BillingTerms(preferences=Preferences(approvals=(), auto_issue=True))
    async with strict.unit_of_work() as uow:
        await seller.write(uow, Seller("Leadger Ltd"))
        for partner_id in world.partners.values():
            await billing_terms.write(uow.connection, partner_id, 0, terms)
    await armed(world)
    held_in_april = [("Demo", "High", f"2024-04-21T09:{minute}:00Z") for minute in ("00", "07", "13", "40", "58")]
    await world.accept(lead(None, *held_in_april, customer="bob", product="gps"))
    await world.accept(lead(None, ("Demo", "High", "2024-05-25T09:00:00Z"), customer="bob", product="gps"))
    await world.accept(*distinct(3, "2024-05-25T09:00:00Z", customer="ann", product="crm"))
    await world.work()
    before, sequences = await rows(strict.engine), await sequence_values(strict.engine)
    dry = await finished(strict, await started(strict, period=MAY, dry_run=True))
    await check_nothing_is_written(strict.engine, before, sequences)
    live = await finished(strict, await started(strict, period=MAY))
    assert [(*end, item.bill_state, item.note) for end, item in zip(ends(dry), dry, strict=True)] == [
        (*end, item.bill_state, item.note) for end, item in zip(ends(live), live, strict=True)
    ]
    too_different = "It differs by more than 60 % from that of April 2024."
    assert [(item.partner, item.period, item.gross_minor, item.bill_state, item.note) for item in live] == [
        ("acme", APRIL, 2000, "issued", None),
        ("acme", MAY, 5000, "draft", too_different),
        ("globex", APRIL, 2000, "issued", None),
        ("globex", MAY, 3000, "issued", None),
    ]


@pytest.mark.parametrize(("large_actions", "more"), [(1, 0), pytest.param(10_000, 10_500, marks=pytest.mark.slow)])
async def test_m3_a_large_partner_is_tried_while_its_leads_are_decided_and_has_the_figures_of_the_run_that_follows(
    runtime: Runtime, world: World, monkeypatch: pytest.MonkeyPatch, large_actions: int, more: int
) -> None:
    monkeypatch.setattr(records, "LARGE_ACTIONS", large_actions)
    acme = [world.partners["acme"]]
    if more:
        await world.accept(*distinct(more, "2024-04-20T09:00:00Z", customer="bob", product="crm", level="Low"))
    await world.work()
    async with transaction(runtime.engine) as batch:
        await locks.lock_partners_shared(batch, acme)
        dry = await finished(runtime, await started(runtime, period=MAY, partner_ids=acme, dry_run=True))
    live = await finished(runtime, await started(runtime, period=MAY, partner_ids=acme))
    capped = 10_000 if more else 0
    assert ends(dry) == ends(live) == [("acme", APRIL, "successful", 2000 + capped), ("acme", MAY, "successful", 2000)]
    assert [item.attempts for item in dry] == [1, 1]
    assert [item.is_large for item in live] == [True, not more]


async def newest(runtime: Runtime) -> list[records.Run]:
    async with transaction(runtime.engine) as connection:
        return await records.newest(connection, 10)


async def sequence_values(engine: AsyncEngine) -> dict[str, int | None]:
    async with transaction(engine) as connection:
        found = await connection.fetch("SELECT sequencename, last_value FROM pg_sequences")
    return {row["sequencename"]: row["last_value"] for row in found}


async def test_the_difference_to_the_month_before_has_causes_that_add_up(runtime: Runtime, world: World) -> None:
    await world.accept(*distinct(3, "2024-05-20T09:00:00Z", customer="ann", product="crm"))
    await world.accept(*distinct(1, "2024-05-20T09:00:00Z", customer="bob", product="crm"))
    await world.work()
    async with runtime.unit_of_work() as uow:
        adjustment = Adjustment("Discount", -500, "Agreed.")
        await adjusting.enter(uow, runtime.policies, world.partners["acme"], MAY, adjustment)
        task_id = await differences.start(uow, world.partners["acme"], MAY)
    await RUNNER.run(runtime, task_id)
    async with transaction(runtime.engine) as connection:
        task = await tasks.read(connection, task_id)
    assert task
    assert task.result
    assert (task.result["before"], task.result["now"], task.result["difference"]) == ("20.00", "55.00", "35.00")
    assert {cause: amount for cause, amount in task.result["causes"].items() if amount != "0.00"} == {
        "volume": "30.00",
        "new_customers": "10.00",
        "adjustments": "-5.00",
    }


async def test_the_files_of_a_report_follow_a_run_without_another_version(runtime: Runtime, world: World) -> None:
    await finished(runtime, await started(runtime))
    written = """
        SELECT version, final, (
            SELECT count(*) FROM billing_report_files AS files
            WHERE files.report_id = billing_reports.report_id AND files.version = billing_reports.version
        ) AS files FROM billing_reports WHERE period = 202404
    """
    async with transaction(runtime.engine) as connection:
        assert [tuple(row) for row in await connection.fetch(written)] == [(1, True, 0)] * 2
    await snapshot_changed(runtime)
    async with transaction(runtime.engine) as connection:
        assert [tuple(row) for row in await connection.fetch(written)] == [(1, True, 2)] * 2
        assert [bill["report_version"] for bill in await _contents(connection)] == [1, 1]


async def _contents(connection: asyncpg.Connection) -> list[dict[str, Any]]:
    rows = await connection.fetch("SELECT content::jsonb -> 'report' -> 'version' AS report_version FROM bills")
    return [dict(row) for row in rows]


async def test_m1_stale_customers_are_judged_first_and_a_dry_run_leaves_that_to_others(
    runtime: Runtime, world: World
) -> None:
    await world.work()
    assert await world.terms("acme", "2024-04", cap="5.00")
    acme = [world.partners["acme"]]
    (dry,) = await finished(runtime, await started(runtime, partner_ids=acme, dry_run=True))
    assert (dry.outcome, dry.attempts) == (Outcome.FAILED, 3)
    assert dry.error == "Its customers are being judged by new terms or rates; try again soon."
    assert ends(await finished(runtime, await started(runtime, partner_ids=acme))) == [
        ("acme", APRIL, "successful", 500)
    ]


async def test_m1_an_item_is_claimed_by_one_transaction_until_it_has_ended(runtime: Runtime, world: World) -> None:
    run_id = await started(runtime)
    async with transaction(runtime.engine) as connection:
        await records.plan(connection, run_id, [[(world.partners["acme"], APRIL, 2)]])
        (item,) = await records.open_items(connection, run_id)
    async with transaction(runtime.engine) as first, transaction(runtime.engine) as second:
        assert await locks.lock_run_items(first, [item.id]) == {item.id}
        assert await locks.lock_run_items(second, [item.id]) == set()
        await records.finish_items(first, {item.id: records.Result(Outcome.SKIPPED)})
    async with transaction(runtime.engine) as connection:
        assert await locks.lock_run_items(connection, [item.id]) == set()
