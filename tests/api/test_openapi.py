"""/openapi.json is valid OpenAPI, so that any generator of clients can read it."""

import httpx
from openapi_spec_validator import OpenAPIV31SpecValidator

from db.core.version import version


async def test_the_description_of_the_api_is_valid(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1.")
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    assert len(document["paths"]) > 30


async def test_the_version_is_in_the_description_and_in_health(client: httpx.AsyncClient) -> None:
    assert (await client.get("/openapi.json")).json()["info"]["version"] == version()
    assert (await client.get("/health")).json() == {"status": "ok", "version": version()}
