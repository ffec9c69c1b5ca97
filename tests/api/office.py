"""The people and machines around the bills of acme, for tests."""

from dataclasses import dataclass
from typing import cast

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.roles import Role
from db.core.settings import Settings
from db.ledger.policies import Policies
from tests.api.world import Json, action, bill, finish_tasks, get, lead
from tests.people import new_person, session_headers

TAX = {"category": "S", "rate": "20.00"}
SELLER = {"name": "Leadger Ltd", "address": "1 High Street\nLondon", "tax_id": "GB123"}
TAXED = {"tax": TAX, "address": "2 Low Street\nBerlin", "payment_days": 14}


@dataclass(frozen=True, slots=True)
class Office:
    """The people and machines around the bills of acme; `finance` is the key of an integration."""

    client: httpx.AsyncClient
    engine: AsyncEngine
    policies: Policies
    settings: Settings

    async def person(self, name: str, role: Role) -> dict[str, str]:
        """The headers of somebody who has signed in, without those of the key."""
        user = await new_person(self.engine, name, role)
        return {**await session_headers(self.engine, user), "Authorization": ""}

    async def lead_in(self, *months: str) -> None:
        """One action of 10.00 in each month."""
        leads = [lead(f"lead-{month}", action(f"Click {month}", at=f"{month}-10T00:00:00Z")) for month in months]
        await bill(self.client, self.engine, self.policies, *leads)

    async def work(self) -> None:
        await finish_tasks(self.engine, self.policies, self.settings)

    async def make(self, period: str = "2024-04") -> Json:
        """The draft of a month, made by the key."""
        started = await self.client.post("/api/bills", json={"partner": "acme", "period": period})
        assert started.status_code == 202, started.text
        await self.work()
        task = await get(self.client, started.json()["status_url"])
        assert task["state"] == "done", task
        return await self.live(period)

    async def live(self, period: str) -> Json:
        """The bill of a month."""
        found, *_ = (await get(self.client, "/api/bills", partner="acme", period=period))["items"]
        return await get(self.client, f"/api/bills/{found['bill_id']}")

    async def move(self, found: Json, move: str, who: dict[str, str] | None = None, **more: str) -> httpx.Response:
        """Ask for a move of a bill as it was seen."""
        body = {"digest": found["digest"], **more}
        return await self.client.patch(f"/api/bills/{found['bill_id']}/{move}", json=body, headers=who)

    async def moved(self, found: Json, move: str, who: dict[str, str] | None = None, **more: str) -> Json:
        """The bill after a move that must go well."""
        response = await self.move(found, move, who, **more)
        assert response.status_code == 200, response.text
        return cast(Json, response.json())

    async def issued(self, draft: Json) -> Json:
        """A draft, issued."""
        reviewer = await self.person(f"reviewer-{draft['period']}", Role.SALES)
        pending = await self.moved(draft, "submit")
        return await self.moved(await self.moved(pending, "approve", reviewer), "issue")
