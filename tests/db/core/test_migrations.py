"""Migrations: up from an empty database, down and up again; their result equals the models."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import asyncpg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy.ext.asyncio import create_async_engine

from db.core.engine import create_engine, transaction
from db.core.migrate import alembic_config, downgrade, upgrade
from db.core.settings import Settings
from db.core.tables import metadata
from db.ledger.policies import Policies
from db.masters import carried_ids, customers
from tests.databases import execute, url_of_database

SCHEMA = {
    "columns": """
        SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns
        JOIN information_schema.tables USING (table_schema, table_name)
        WHERE table_schema = 'public' AND table_type = 'BASE TABLE' ORDER BY 1, 2
    """,
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'public' ORDER BY 1",
    "constraints": """
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace AND contype <> 'n' ORDER BY 1, 2
    """,
    "indexes": "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2",
    "triggers": "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal ORDER BY 1, 2",
    "functions": "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace ORDER BY 1",
    "types": "SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'e' ORDER BY 1",
}


@pytest.fixture
def empty(server_url: str) -> Iterator[str]:
    """An empty database."""
    execute(server_url, "CREATE DATABASE test_migrations")
    yield url_of_database(server_url, "test_migrations")
    execute(server_url, "DROP DATABASE test_migrations WITH (FORCE)")


def schema(url: str) -> dict[str, list[tuple[object, ...]]]:
    async def read() -> dict[str, list[tuple[object, ...]]]:
        connection = await asyncpg.connect(url)
        try:
            found = {name: [tuple(row) for row in await connection.fetch(query)] for name, query in SCHEMA.items()}
        finally:
            await connection.close()
        return {name: [row for row in rows if "alembic_version" not in str(row)] for name, rows in found.items()}

    return asyncio.run(read())


def revisions(url: str) -> list[str]:
    """All revisions, newest first."""
    return [script.revision for script in ScriptDirectory.from_config(alembic_config(url)).walk_revisions()]


def test_every_migration_goes_down_and_up_again(empty: str) -> None:
    newest_first = revisions(empty)
    steps = []
    for revision in reversed(newest_first):
        upgrade(empty, revision)
        steps.append(schema(empty))
    for before, revision in zip(reversed(steps[:-1]), newest_first[1:], strict=True):
        downgrade(empty, revision)
        assert schema(empty) == before
    downgrade(empty, "base")
    assert not any(schema(empty).values())
    upgrade(empty)
    assert schema(empty) == steps[-1]


def test_migrating_twice_changes_nothing(empty: str) -> None:
    upgrade(empty)
    before = schema(empty)
    upgrade(empty)
    assert schema(empty) == before


def test_the_models_equal_the_result_of_the_migrations(empty: str, server_url: str) -> None:
    """Also the checks, which alembic does not compare. Failed before: those of single columns were not migrated."""
    upgrade(empty)
    command.check(alembic_config(empty))
    migrated = schema(empty)
    execute(server_url, "CREATE DATABASE test_models")
    try:
        url = url_of_database(server_url, "test_models")
        asyncio.run(_create_all(url))
        modelled = schema(url)
    finally:
        execute(server_url, "DROP DATABASE test_models WITH (FORCE)")
    for what in ("columns", "constraints", "indexes", "types"):
        assert migrated[what] == modelled[what]


def test_people_who_may_not_sign_in_have_no_password_after_a_way_back(empty: str) -> None:
    """The release before 0027 knows neither "no role" nor "deactivated": both would come back as people who may."""
    upgrade(empty, "0027")
    execute(
        empty,
        """
        INSERT INTO users (id, name, email, role, password_hash, deactivated_at) VALUES
            (gen_random_uuid(), 'waits', 'a@example.com', NULL, 'hash', NULL),
            (gen_random_uuid(), 'out', 'b@example.com', 'admin', 'hash', now()),
            (gen_random_uuid(), 'in', 'c@example.com', 'finance', 'hash', NULL)
        """,
    )
    downgrade(empty, "0026")
    upgrade(empty, "0027")

    async def read() -> list[tuple[object, ...]]:
        connection = await asyncpg.connect(empty)
        try:
            rows = await connection.fetch("SELECT name, role, password_hash FROM users ORDER BY email")
        finally:
            await connection.close()
        return [tuple(row) for row in rows]

    assert asyncio.run(read()) == [("waits", "sales", None), ("out", "admin", None), ("in", "finance", "hash")]


def test_the_last_instant_that_an_older_release_kept_as_infinity_prices_and_ends_something(database_url: str) -> None:
    """Failed before: no policy of a partner could be read with a rule that starts at infinity."""
    downgrade(database_url, "0062")
    partner, person, deputy = uuid4(), uuid4(), uuid4()
    execute(
        database_url,
        f"""
        INSERT INTO partners (id, external_id, name, currency) VALUES ('{partner}', 'acme', 'Acme', 'EUR');
        INSERT INTO partner_terms (partner_id, from_period, cap_minor, cap_scope, dedup_window)
            VALUES ('{partner}', 0, 10000, 'period', 'forever');
        INSERT INTO partner_time_zones VALUES ('{partner}', 0, 'UTC');
        INSERT INTO rates (partner_id, level_key, engagement_level, amount_minor, effective_from)
            VALUES ('{partner}', 'high', 'High', 1, 'infinity');
        INSERT INTO users (id, name, email) VALUES ('{person}', 'a', 'a@x.com'), ('{deputy}', 'b', 'b@x.com');
        INSERT INTO deputies VALUES ('{person}', '{deputy}', 'infinity')
        """,
    )
    upgrade(database_url)

    async def read() -> tuple[int, datetime]:
        engine = create_engine(Settings(database_url=database_url, redis_url="redis://unused"))
        async with transaction(engine) as connection:
            policy = (await Policies().load(connection, [partner]))[partner]
            rate = policy.card.price(uuid4(), "webinar", "click", "high", datetime(2024, 4, 1, tzinfo=UTC))
            until: datetime = await connection.fetchval("SELECT until FROM deputies")
        for infinite in ("UPDATE rates SET effective_from = 'infinity'", "UPDATE deputies SET until = 'infinity'"):
            with pytest.raises(asyncpg.CheckViolationError):
                async with transaction(engine) as connection:
                    await connection.execute(infinite)
        await engine.dispose()
        return rate.amount_minor, until

    assert asyncio.run(read()) == (1000, datetime(9999, 12, 31, 23, 59, 59, 999998, UTC))


def test_partners_of_a_person_with_several_ids_are_told_none_that_an_older_release_may_have_from_others(
    database_url: str,
) -> None:
    """Which partner sent which id, nobody kept; of a person whom one partner alone knows, that one sent all."""
    downgrade(database_url, "0066")
    people = {each: uuid4() for each in ("shared", "own", "plain")}
    partners = {each: uuid4() for each in ("acme", "rival")}
    named = " UNION ALL ".join(f"SELECT '{row}'::uuid AS id, '{each}' AS name" for each, row in people.items())
    met = [("acme", "shared"), ("rival", "shared"), ("acme", "own"), ("acme", "plain"), ("rival", "plain")]
    states = ", ".join(f"('{partners[partner]}', '{people[each]}', 1)" for partner, each in met)
    execute(
        database_url,
        f"""
        INSERT INTO partners (id, external_id, name, currency)
            VALUES {", ".join(f"('{row}', '{each}', '{each}', 'EUR')" for each, row in partners.items())};
        INSERT INTO customers (id, external_id, name, email)
            SELECT id, name, name, name || '@x.com' FROM ({named}) AS one;
        INSERT INTO customer_aliases (id, external_id, customer_id)
            SELECT gen_random_uuid(), name || '-2', id FROM ({named}) AS one WHERE name <> 'plain';
        INSERT INTO customer_states (partner_id, customer_id, policy_version) VALUES {states}
        """,
    )
    upgrade(database_url)

    async def read() -> dict[tuple[str, str], str]:
        engine = create_engine(Settings(database_url=database_url, redis_url="redis://unused"))
        async with transaction(engine) as connection:
            found = {
                (partner, each): await carried_ids.first(connection, partners[partner], people[each])
                for partner, each in met
            }
            await carried_ids.keep(connection, [((partners["rival"], people["shared"]), people["shared"])])
            found["rival", "later"] = await carried_ids.first(connection, partners["rival"], people["shared"])
            made = await customers.resolve(connection, map(UUID, (found["acme", "shared"], found["rival", "shared"])))
        await engine.dispose()
        assert set(made.values()) == {people["shared"]}, "an id that is shown finds its person"
        return found

    found = asyncio.run(read())
    assert {found.pop(("acme", "shared")), found.pop(("rival", "shared"))}.isdisjoint({"shared", "shared-2"})
    assert found == {
        ("acme", "own"): "own",
        ("acme", "plain"): "plain",
        ("rival", "plain"): "plain",
        ("rival", "later"): "shared",
    }


async def _create_all(url: str) -> None:
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://"))
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    await engine.dispose()
