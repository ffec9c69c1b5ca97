"""GET /leads: filters, and pages that stay right while leads come in."""

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from db.ledger.policies import Policies
from tests.api.world import action, bill, check_problem, get, get_all, lead, make, make_masters


@pytest.fixture(scope="module")
async def shop(shared_client: httpx.AsyncClient, shared_engine: AsyncEngine) -> None:
    """Leads of two customers, two partners and three types."""
    await make_masters(shared_client, cap="12.00")
    await make(shared_client, "partners", external_id="globex", name="Globex")
    await make(shared_client, "products", external_id="gadget", partner="globex", name="Gadget")
    await make(shared_client, "customers", external_id="ben", name="Ben", email="ben@example.com")
    await bill(
        shared_client,
        shared_engine,
        Policies(),
        lead("1", action(at="2024-04-01T00:00:00Z"), created_at="2024-04-01T00:00:00Z"),
        lead("2", action(at="2024-04-02T00:00:00Z"), created_at="2024-04-02T00:00:00Z", lead_type="Referral"),
        lead("3", action("Call", at="2024-04-03T00:00:00Z"), created_at="2024-04-03T00:00:00Z"),
        lead("4", action("Visit", at="2024-04-04T00:00:00Z"), created_at="2024-04-04T00:00:00Z", lead_type="Straße"),
        lead("5", product_id="gadget", created_at="2024-04-05T00:00:00Z"),
        lead("6", customer_id="ben", created_at="2024-04-05T23:59:59.999999Z"),
        lead("waiting for a product", product_id="nothing"),
    )


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, "654321"),
        ({"customer": "ben"}, "6"),
        ({"customer": "anna", "partner": "acme"}, "4321"),
        ({"partner": "globex"}, "5"),
        ({"product": "widget"}, "64321"),
        ({"lead_type": "referral"}, "2"),
        ({"lead_type": " REFERRAL "}, "2"),
        ({"lead_type": "straße"}, "4"),
        ({"lead_type": "Referra"}, ""),
        ({"lead_type": "%"}, ""),
        ({"outcome": "duplicate"}, "2"),
        ({"outcome": "partly_billed"}, "3"),
        ({"outcome": "capped"}, "4"),
        ({"outcome": "billed"}, "651"),
        ({"outcome": "held"}, ""),
        ({"start_date": "2024-04-03"}, "6543"),
        ({"end_date": "2024-04-03"}, "21"),
        ({"start_date": "2024-04-02", "end_date": "2024-04-04"}, "32"),
        ({"start_date": "2024-04-03T00:00:00.000001Z", "end_date": "2024-04-05T02:00:00+02:00"}, "4"),
        ({"start_date": "2024-04-05", "end_date": "2024-04-05"}, ""),
        ({"partner": "acme", "customer": "anna", "outcome": "billed", "start_date": "2024-04-01"}, "1"),
    ],
)
async def test_filters(shared_client: httpx.AsyncClient, shop: None, query: dict[str, str], ids: str) -> None:
    for limit in (1, 2, 500):
        found = await get_all(shared_client, "/leads", limit=limit, **query)
        assert "".join(each["lead_id"] for each in found) == ids


@pytest.mark.parametrize(("query", "ids"), [({"lead_type": "referral"}, "2"), ({"outcome": "billed"}, "651")])
async def test_a_filter_without_an_index_looks_at_so_many_leads_and_says_where_to_go_on(
    shared_client: httpx.AsyncClient, shop: None, query: dict[str, str], ids: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.reports.leads_on_record.MOST_LEADS_SEARCHED", 2)
    pages = [await get(shared_client, "/leads", **query)]
    while pages[-1]["next"]:
        pages.append(await get(shared_client, "/leads", after=pages[-1]["next"], **query))
    assert [len(page["items"]) for page in pages] == ([0, 0, 1, 0] if len(ids) == 1 else [2, 0, 1, 0])
    assert "".join(each["lead_id"] for page in pages for each in page["items"]) == ids


async def test_a_lead_in_a_list(shared_client: httpx.AsyncClient, shop: None) -> None:
    (shown,) = (await get(shared_client, "/leads", outcome="partly_billed"))["items"]
    whole = await get(shared_client, "/leads/3")
    assert shown == {
        "state": "done",
        "lead_id": "3",
        "id": whole["id"],
        "source": None,
        "partner": "acme",
        "customer": {name: whole["customer"][name] for name in ("customer_id", "external_id", "email")},
        "product": "widget",
        "lead_type": "Website Visit",
        "created_at": "2024-04-03T00:00:00Z",
        "currency": "EUR",
        "totals": whole["totals"],
    }
    assert whole["totals"] == {
        "leads": 1,
        "actions": 1,
        "gross": "10.00",
        "billed": "2.00",
        "credited": "0.00",
        "net": "2.00",
        "duplicate_savings": "0.00",
        "cap_savings": "8.00",
        "savings": "8.00",
        "held": "0.00",
        "returned": "0.00",
    }


async def test_every_figure_behind_a_verdict(shared_client: httpx.AsyncClient, shop: None) -> None:
    (first,) = (await get(shared_client, "/leads/1"))["actions"]
    (second,) = (await get(shared_client, "/leads/2"))["actions"]
    assert second == {
        "action_id": second["action_id"],
        "lead_id": "2",
        "action_type": "Click",
        "engagement_level": "High",
        "occurred_at": "2024-04-02T00:00:00Z",
        "occurrence": 0,
        "external_id": None,
        "value": "10.00",
        "billed": "0.00",
        "duplicate_savings": "10.00",
        "cap_savings": "0.00",
        "currency": "EUR",
        "outcome": "duplicate",
        "duplicate_of": first["action_id"],
        "period": "2024-04",
        "billing_period": "2024-04",
        "late": False,
        "rate": {"rule_id": 1, "rule": "High", "amount": "10.00", "card_version": 1},
        "cap": "12.00",
        "cap_before": "10.00",
        "cap_after": "10.00",
        "credited": None,
        "credited_in": None,
        "corrects": None,
        "corrected_by": None,
        "reason": (
            f"Not billed: duplicate of action {first['action_id']} of 2024-04-01 00:00:00 UTC; "
            "its value is 10.00 EUR (rate for High)."
        ),
    }
    assert await get(shared_client, f"/api/actions/{second['action_id']}") == second


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"customer": "nobody"}, 404),
        ({"partner": "nobody"}, 404),
        ({"product": "nothing"}, 404),
        ({"customer": ""}, 400),
        ({"customer": "x" * 201}, 400),
        ({"outcome": "lost"}, 400),
        ({"lead_type": ""}, 400),
        ({"lead_type": "a\0"}, 400),
        ({"start_date": "yesterday"}, 400),
        ({"start_date": "2024-04-01T00:00:00"}, 400),
        ({"start_date": "1711929600"}, 400),
        ({"end_date": "2024-02-30"}, 400),
        ({"limit": "0"}, 400),
        ({"limit": "501"}, 400),
        ({"after": "nonsense"}, 400),
        ({"after": "x" * 2001}, 400),
        ({"page": "2"}, 400),
    ],
)
async def test_what_cannot_be_filtered(shared_client: httpx.AsyncClient, query: dict[str, str], status: int) -> None:
    document = check_problem(await shared_client.get("/leads", params=query), status)
    if status == 400:
        assert document["errors"][0]["pointer"] == f"query:{next(iter(query))}"


async def test_no_lead_is_seen_twice_or_missed_while_leads_come_in(
    client: httpx.AsyncClient, engine: AsyncEngine, policies: Policies
) -> None:
    await make_masters(client)
    instant = "2024-04-01T00:00:00Z"
    old = [lead(f"old-{n}", action(f"A{n}"), created_at=instant) for n in range(50)]
    await bill(client, engine, policies, *old)
    seen: list[str] = []
    after: dict[str, str] = {}
    for number in range(100):
        page = await get(client, "/leads", limit=7, **after)
        seen += [each["lead_id"] for each in page["items"]]
        later = f"2024-05-01T00:00:{number % 60:02d}Z"
        await bill(
            client,
            engine,
            policies,
            lead(f"new-{number}", action(f"B{number}"), created_at=later),
            lead(f"tie-{number}", action(f"C{number}"), created_at=instant),
        )
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert len(seen) == len(set(seen))
    assert {each for each in seen if each.startswith("old")} == {f"old-{n}" for n in range(50)}
    assert not [each for each in seen if each.startswith("new")]
