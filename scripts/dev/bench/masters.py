"""Writes a world's masters into a database: partners and products by the API, customers by COPY."""

from functools import partial

import asyncpg
import httpx

from api.app import create_app
from db.access import api_keys
from db.core.row_keys import customer_uuid
from db.core.settings import Settings
from db.core.unit_of_work import publish_nothing, unit_of_work
from scripts.dev.bench.world import World


async def create(world: World, settings: Settings) -> str:
    """Write the masters into a migrated, empty database; returns an API key with all scopes."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        async with unit_of_work(app.state.leadger.engine, publish_nothing) as uow:
            key = (await api_keys.create(uow, "bench", api_keys.SCOPES)).secret
            await _copy_customers(world, uow.connection)
        transport = httpx.ASGITransport(app)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://bench", headers=headers) as client:
            post = partial(_post, client)
            for partner in range(world.partners):
                name = world.partner(partner)
                await post("/api/partners", {"external_id": name, "name": name, "currency": "EUR", "timezone": "UTC"})
                for number in range(world.products_per_partner):
                    product = world.product(partner, number)
                    await post("/api/products", {"external_id": product, "partner": name, "name": product})
    return key


async def _copy_customers(world: World, connection: asyncpg.Connection) -> None:
    names = [(world.customer(number), world.email(number)) for number in range(world.customers)]
    await connection.copy_records_to_table(
        "customers",
        records=[(customer_uuid(name), name, name, email) for name, email in names],
        columns=["id", "external_id", "name", "email"],
    )


async def _post(client: httpx.AsyncClient, path: str, content: dict[str, str]) -> None:
    answer = await client.post(path, json=content)
    if answer.status_code != 201:
        raise RuntimeError(f"{path} answered {answer.status_code}: {answer.text}")
