"""Migration 0056: bills of the release before show what they showed, and go on to when that release pays them."""

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from db.core.migrate import downgrade, upgrade
from tests.databases import execute, url_of_database

_BEFORE = """
    INSERT INTO partners (id, external_id, name, currency) SELECT md5('acme')::uuid, 'acme', 'acme', 'EUR';
    CREATE TEMPORARY TABLE made (name text, state text, net int, booked text, rest int);
    INSERT INTO made VALUES ('draft', 'draft', 10, NULL, NULL), ('open', 'issued', 10, 'bill', 10),
        ('covered', 'issued', 10, 'bill', 0), ('nothing', 'issued', 0, 'bill', 0), ('credit', 'issued', -5, 'bill', 5),
        ('given up', 'issued', 10, 'bill', 0), ('taken back', 'issued', 10, 'bill', 0),
        ('in part', 'issued', 10, 'bill', 3), ('cancelled', 'cancelled', 10, 'bill', 0),
        ('note', 'issued', 10, 'credit_note', 0), ('void', 'void', 10, NULL, NULL);
    INSERT INTO bills (id, partner_id, period, currency, state, digest, content, net_minor, tax_minor, corrects_id,
            number, issued_at, issued_on, due_on, issue, seal)
        SELECT md5(name)::uuid, md5('acme')::uuid, 202400 + row_number() OVER (), 'EUR', state, '', '{}', net, 0,
            CASE booked WHEN 'credit_note' THEN md5('covered')::uuid END, CASE WHEN booked <> '' THEN name END,
            CASE WHEN booked <> '' THEN now() END, CASE WHEN booked <> '' THEN current_date END,
            CASE WHEN booked <> '' THEN current_date END, CASE WHEN booked <> '' THEN '{}' END,
            CASE WHEN booked <> '' THEN '' END FROM made;
    INSERT INTO account_entries (id, partner_id, position, kind, amount_minor, booked_on, due_on, document, bill_id,
            reverses_id, who_kind, who_name)
        SELECT md5(name)::uuid, md5('acme')::uuid, row_number() OVER (), booked,
            CASE booked WHEN 'bill' THEN net ELSE -net END, current_date, current_date, name, md5(name)::uuid,
            NULL::uuid, 'system', 'system'
        FROM made WHERE booked IS NOT NULL
        UNION ALL SELECT md5('off ' || name)::uuid, md5('acme')::uuid, 100 + row_number() OVER (), 'write_off', -10,
            current_date, current_date, name, md5(name)::uuid, NULL, 'system', 'system'
        FROM unnest(ARRAY['given up', 'taken back', 'in part']) AS name
        UNION ALL SELECT md5('mirror')::uuid, md5('acme')::uuid, 200, 'reversal', 10, current_date, current_date,
            'taken back', NULL, md5('off taken back')::uuid, 'system', 'system';
    INSERT INTO account_rests (entry_id, partner_id, rest_minor)
        SELECT md5(name)::uuid, md5('acme')::uuid, rest FROM made WHERE booked IS NOT NULL
"""
_NAMES = "draft,open,covered,nothing,credit,given up,taken back,in part,cancelled,note,void"


@pytest.fixture
def before(server_url: str) -> Iterator[str]:
    """A database of the release before, with a bill of each kind."""
    execute(server_url, "CREATE DATABASE test_shown_states")
    url = url_of_database(server_url, "test_shown_states")
    upgrade(url, "0054")
    execute(url, _BEFORE)
    yield url
    execute(server_url, "DROP DATABASE test_shown_states WITH (FORCE)")


def _shown(url: str) -> dict[str, str]:
    async def fetch() -> dict[str, str]:
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch(
                "SELECT name, shown_state FROM unnest($1::text[]) AS name JOIN bills ON id = md5(name)::uuid",
                _NAMES.split(","),
            )
            return {row["name"]: row["shown_state"] for row in rows}
        finally:
            await connection.close()

    return asyncio.run(fetch())


def test_bills_of_the_release_before_show_what_they_showed(before: str) -> None:
    upgrade(before, "0056")
    shown = {
        "draft": "draft",
        "void": "void",
        "cancelled": "cancelled",
        "note": "issued",
        "open": "issued",
        "covered": "paid",
        "nothing": "paid",
        "credit": "paid",
        "taken back": "paid",
        "given up": "written_off",
        "in part": "issued",
    }
    assert _shown(before) == shown
    execute(
        before, "UPDATE account_rests SET rest_minor = 0 WHERE entry_id IN (md5('open')::uuid, md5('in part')::uuid)"
    )
    assert _shown(before) == shown | {"open": "paid", "in part": "written_off"}
    execute(before, "UPDATE account_rests SET rest_minor = 10 WHERE entry_id = md5('given up')::uuid")
    execute(before, "UPDATE bills SET state = 'pending' WHERE id = md5('draft')::uuid")
    assert _shown(before) == shown | {
        "open": "paid",
        "in part": "written_off",
        "given up": "issued",
        "draft": "pending",
    }
    downgrade(before, "0054")
    upgrade(before, "0056")
    assert _shown(before)["given up"] == "issued"
