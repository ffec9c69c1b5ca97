"""Writes a world's masters into a database: some partners and their products by the API, all the others like them."""

from functools import partial

import asyncpg
import httpx

from api.app import create_app
from db.access import api_keys
from db.core.row_keys import customer_uuid, partner_uuid, product_uuid
from db.core.settings import Settings
from db.core.unit_of_work import publish_nothing, unit_of_work
from scripts.dev.bench.world import World

_BY_API = 10
"""Partners; one more costs tens of milliseconds."""


async def create(world: World, settings: Settings) -> str:
    """Write the masters into a migrated, empty database; returns an API key with all scopes."""
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        async with unit_of_work(app.state.leadger.engine, publish_nothing) as uow:
            key = (await api_keys.create(uow, "bench", api_keys.SCOPES)).secret
        transport = httpx.ASGITransport(app)
        headers = {"Authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://bench", headers=headers) as client:
            post = partial(_post, client)
            for partner in range(min(world.partners, _BY_API)):
                name = world.partner(partner)
                await post("/api/partners", {"external_id": name, "name": name, "currency": "EUR", "timezone": "UTC"})
                for number in range(world.products_per_partner):
                    product = world.product(partner, number)
                    await post("/api/products", {"external_id": product, "partner": name, "name": product})
        async with unit_of_work(app.state.leadger.engine, publish_nothing) as uow:
            await _copy_customers(world, uow.connection)
            await _copy_partners(world, uow.connection)
    return key


async def _copy_partners(world: World, connection: asyncpg.Connection) -> None:
    numbers = range(_BY_API, world.partners)
    names = [(number, world.partner(number)) for number in numbers]
    await connection.copy_records_to_table(
        "partners",
        records=[(partner_uuid(name), name, name, "EUR") for _, name in names],
        columns=["id", "external_id", "name", "currency"],
    )
    for table in ("partner_terms", "partner_time_zones"):
        await connection.execute(
            f"""
            INSERT INTO {table}
            SELECT (jsonb_populate_record(model, jsonb_build_object('partner_id', partners.id))).*
            FROM partners JOIN {table} AS model ON model.partner_id = $1
            WHERE NOT EXISTS (SELECT FROM {table} WHERE partner_id = partners.id)
            """,  # noqa: S608 - constants
            partner_uuid(world.partner(0)),
        )
    products = [
        (product, partner_uuid(name))
        for number, name in names
        for product in (world.product(number, place) for place in range(world.products_per_partner))
    ]
    await connection.copy_records_to_table(
        "products",
        records=[(product_uuid(product), product, partner_id, product) for product, partner_id in products],
        columns=["id", "external_id", "partner_id", "name"],
    )


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
