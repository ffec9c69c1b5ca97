"""The pages that people ask for: each tab, filter and kind of search, and of a list the first page and a middle one."""

from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote_plus

import asyncpg

from api.pages.bills import TABS
from api.paging import cursor_from_place
from db.bills.orders import BillOrder
from db.core.row_keys import partner_uuid
from db.masters.partners import PartnerOrder
from scripts.dev.bench.browsing.cast import BILLED, Cast


class Asked(NamedTuple):
    """A path, and the role of who asks for it; "" is nobody who has signed in."""

    role: str
    path: str


_BILLS = "SELECT created_at, id FROM bills {} ORDER BY created_at DESC, id DESC"
_GROSS = "SELECT net_minor + tax_minor, id FROM bills"
_MIDDLES = {
    "/partners": "SELECT external_id, external_id FROM partners ORDER BY 1",
    "/partners?order=-name": "SELECT lower(name), external_id FROM partners ORDER BY 1 DESC, 2 DESC",
    "/month": "SELECT external_id FROM partners ORDER BY external_id",
    "/bills": _BILLS.format(""),
    "/bills?state=draft": _BILLS.format("WHERE state = 'draft'"),
    "/bills?state=paid": _BILLS.format("WHERE state = 'issued'"),
    "/bills?state=overdue": _BILLS.format("WHERE state = 'issued'"),
    "/bills?order=due": "SELECT coalesce(due_on, 'infinity'), id FROM bills ORDER BY 1, 2",
    "/bills?state=paid&order=-gross": f"{_GROSS} WHERE shown_state = 'paid' ORDER BY 1 DESC, 2 DESC",
    "/activity": "SELECT created_at, id FROM leads ORDER BY created_at DESC, id DESC",
    "/quarantine": "SELECT id FROM quarantine ORDER BY id",
    "/held": "SELECT partner_id, id FROM actions WHERE standing = 'held' ORDER BY partner_id, id",
    "/settings/audit": "SELECT id FROM audit ORDER BY id",
}
"""What a list goes through, by its path."""
_SORTED = ("state=paid&", "state=issued&", "state=overdue&", "state=overage&", "period=2023-04&")
_RETURNS = "SELECT asked_at, action_id FROM returns WHERE partner_id = '{}' ORDER BY asked_at DESC, action_id DESC"
_OUTCOMES = ("billed", "partly_billed", "capped", "duplicate", "held", "returned")
_TABS_OF_PARTNER = ("", "/terms", "/products", "/prices", "/usage", "/statement", "/months/2024-04", "/months/2023-05")


async def all_asked(connection: asyncpg.Connection, cast: Cast) -> list[Asked]:
    """Every page, with what is stored behind it."""
    world = cast.database.world
    big, small = partner_uuid(world.partner(0)), partner_uuid(world.partner(world.partners // 2))
    found = await connection.fetchrow("SELECT external_id, id FROM leads WHERE partner_id = $1 LIMIT 1", small)
    assert found is not None
    lead, lead_id = found
    typed = await connection.fetchrow(
        "SELECT action_type, engagement_level FROM actions WHERE partner_id = $1 LIMIT 1", small
    )
    assert typed is not None
    source = await connection.fetchval("SELECT source FROM leads WHERE source <> '' LIMIT 1") or "none"
    number = await connection.fetchval("SELECT number FROM bills WHERE partner_id = $1 AND number IS NOT NULL", small)
    user = await connection.fetchval("SELECT id FROM users LIMIT 1")
    paths = [
        *("/dashboard", "/account", "/partners/new", "/what-if", f"/what-if/{cast.what_if_id}", "/import"),
        *(f"/import/{cast.batch_id}", f"/runs/{cast.run_id}", "/month", "/month?period=2024-03", "/nothing"),
        *_bills(world.partner(0), number),
        *[f"/bills/{each['id']}" for each in await connection.fetch(_ONE_OF_EACH)],
        *[f"/partners?order={order}" for order in PartnerOrder],
        *("/partners", "/partners?q=partner-00", "/partners?q=partner-0001", "/partners?q=nobody"),
        *[f"/partners/{each}{tab}" for each in (big, small) for tab in _TABS_OF_PARTNER],
        *_activity(world.partner(0), world.partner(1), world.customer(0)),
        *_by_words(world.partner(0), source, *typed),
        *(f"/activity/{lead_id}", f"/people/{world.customer(0)}", f"/people/{world.customer(1)}"),
        *[f"/search?q={each}" for each in (number, lead, lead_id, world.customer(1), world.email(1), cast.bill_id)],
        *("/search?q=partner", f"/search?q={world.product(1, 0)}", "/search?q=nothing-is-called-so"),
        *("/quarantine", "/quarantine?state=decided", "/quarantine?state=discarded", "/quarantine?reason=conflict"),
        *("/held", f"/held?partner={world.partner(0)}", "/held?period=2024-03", "/held?rule=burst"),
        *("/dead-letters", "/dead-letters/tasks", "/settings/keys", "/settings/webhooks", "/settings/seller"),
        *(f"/settings/webhooks/{cast.webhook_id}", "/settings/people", "/settings/people?tab=waiting"),
        *("/settings/people?tab=sales", f"/settings/people/{user}", "/settings/people?email=sales@example.com"),
        *("/settings/audit", "/settings/audit?who=bench", "/settings/audit?what=nothing", "/settings/audit?what=bill"),
    ]
    for path, query in _MIDDLES.items():
        paths.append(f"{path}{'&' if '?' in path else '?'}after={await _middle(connection, query)}")
    asked = [Asked("", "/welcome"), Asked("", "/password?token=x"), *[Asked("admin", path) for path in paths]]
    inner = ("/dashboard", "/bills?state=mine", "/bills?state=pending", "/bills?state=draft", "/month", "/held")
    asked += [Asked(role, path) for role in ("finance", "customer_success", "sales") for path in inner]
    own_lead = await connection.fetchval("SELECT id FROM leads WHERE partner_id = $1 LIMIT 1", big)
    own = ("/partner", *[f"/partners/{big}{tab}" for tab in _TABS_OF_PARTNER], f"/bills/{cast.bill_id}", "/account")
    own += ("/partner/returns", f"/partner/returns?after={await _middle(connection, _RETURNS.format(big))}")
    own += ("/partner/reconciliation", f"/partner/reconciliation/{cast.reconciliation_id}", f"/activity/{own_lead}")
    asked += [Asked("partner", path) for path in own]
    asked += [Asked("partner", _bills_at(tab.name)) for tab in TABS if tab.for_partners]
    others = ("/activity", "/activity?outcome=held", "/quarantine", f"/people/{world.customer(0)}", "/search?q=many-1")
    return asked + [Asked("partner", path) for path in others]


def _bills(partner: str, number: str) -> Iterator[str]:
    yield from (_bills_at(tab.name) for tab in TABS)
    yield from (f"/bills?partner={partner}", f"/bills?period={BILLED[3] // 100}-{BILLED[3] % 100:02d}")
    yield from (f"/bills?number={number}", "/bills?number=none", f"/bills?state=overdue&partner={partner}")
    yield "/bills?state=pending&period=2023-04"
    for order in BillOrder:
        yield from (f"/bills?{asked}order={order}" for asked in ("", *_SORTED))


def _bills_at(state: str) -> str:
    return f"/bills?state={state}" if state else "/bills"


def _activity(big: str, other: str, customer: str) -> Iterator[str]:
    yield from ("/activity", "/activity?lead_type=Conference", "/activity?period=2023-06")
    yield from (f"/activity?{name}={value}" for name, value in (("partner", big), ("customer", customer)))
    yield from (f"/activity?outcome={outcome}" for outcome in _OUTCOMES)
    yield from ("/activity?start=2023-06-01&end=2023-06-30", f"/activity?partner={other}&outcome=returned")
    yield f"/activity?partner={big}&customer={customer}&outcome=capped&period=2024-04"


def _by_words(big: str, source: str, action_type: str, level: str) -> Iterator[str]:
    """The activity filtered by what leads and actions say, alone and together, and by what none says."""
    source, action_type, level = map(quote_plus, (source, action_type, level))
    yield from (f"/activity?source={source}", "/activity?source=nobody", f"/activity?partner={big}&source={source}")
    yield from (f"/activity?action_type={action_type}", "/activity?action_type=nothing")
    yield from (f"/activity?engagement_level={level}", "/activity?engagement_level=nothing")
    yield f"/activity?action_type={action_type}&engagement_level={level}&outcome=capped&period=2024-04"
    yield f"/activity?partner={big}&action_type={action_type}&engagement_level={level}"


async def _middle(connection: asyncpg.Connection, query: str) -> str:
    place = await connection.fetchrow(f"{query} OFFSET (SELECT count(*) / 2 FROM ({query}) AS every) LIMIT 1")  # noqa: S608 - queries of this module
    assert place is not None
    return cursor_from_place(place[0] if len(place) == 1 else list(place))


_ONE_OF_EACH = """
SELECT DISTINCT ON (state, rest_minor = 0) bills.id FROM bills LEFT JOIN account_rests ON entry_id = bills.id
WHERE corrects_id IS NULL ORDER BY state, rest_minor = 0, bills.id
"""
