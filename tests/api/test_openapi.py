"""/openapi.json is valid OpenAPI, and says of every path what it needs, takes and is for."""

import importlib
import pkgutil
from typing import Any

import httpx
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import api.routes
from api.app import create_app
from api.schemas.examples import EXAMPLES
from api.schemas.fields import Body
from db.core.settings import Settings
from db.core.version import version


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The description of an API that has not been started."""
    return create_app(Settings(database_url="postgresql://nowhere", redis_url="redis://nowhere")).openapi()


def _operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method} {path}", operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]


def test_the_description_of_the_api_is_valid(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert [str(error) for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    assert len(document["paths"]) > 30


def test_every_path_says_what_it_does_and_what_it_needs(document: dict[str, Any]) -> None:
    """Failed before: seven groups had no description, and no path named its permission."""
    described = {tag["name"] for tag in document["tags"]}
    for name, operation in _operations(document):
        assert set(operation["tags"]) <= described, name
        assert operation["summary"], name
        assert operation["description"], name
        assert ("Needs " in operation["description"]) != (operation.get("security") == [] and "hub" not in name), name
    assert document["paths"]["/api/rate-cards"]["post"]["description"].endswith(
        "\n\nNeeds the permission `pricing`: of a key the scope, of people the role admin. "
        "Keys and people bound to a partner have it for that partner only."
    )


def test_every_body_has_an_example_that_is_accepted(document: dict[str, Any]) -> None:
    """Failed before: the form of the interactive documentation was filled with "string" and 0."""
    bodies = {each.__name__: each for each in _bodies()}
    assert len(bodies) == len(list(_bodies())), "two bodies with one name get names of modules in the document"
    for name, operation in _operations(document):
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            schema = content["schema"].get("$ref", "").rpartition("/")[2]
            assert "example" in content or schema in EXAMPLES or name == "post /leads", (name, kind)
    for schema, example in EXAMPLES.items():
        bodies[schema].model_validate(example)
        assert document["components"]["schemas"][schema]["example"] == example


async def test_the_version_is_in_the_description_and_in_health(client: httpx.AsyncClient) -> None:
    assert (await client.get("/openapi.json")).json()["info"]["version"] == version()
    assert (await client.get("/health")).json() == {"status": "ok", "version": version()}


def _bodies() -> list[type[Body]]:
    for module in pkgutil.iter_modules(api.routes.__path__):
        importlib.import_module(f"api.routes.{module.name}")
    found, rest = [], list(Body.__subclasses__())
    while rest:
        rest += (each := rest.pop()).__subclasses__()
        found.append(each)
    return [each for each in found if each.__module__.startswith("api.")]
