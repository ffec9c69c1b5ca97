"""API keys: made, rotated with an overlap, revoked."""

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field, StrictInt

from api.access.permissions import Permission, requires
from api.ids import partner_id_of
from api.problems import Problem
from api.routing import Route
from api.schemas import answers
from api.schemas.fields import Body, Id, Text, UuidPath
from api.state import state_of, unit_of_work
from api.wire import instant_out, json_response
from db.access import api_keys
from db.access.api_keys import ApiKey, NewKey
from db.core.engine import transaction

router = APIRouter(route_class=Route, prefix="/api/keys", tags=["API keys"], dependencies=[requires(Permission.ADMIN)])


class KeyIn(Body):
    """A key to make."""

    name: Text
    partner: Id | None = None
    scopes: list[Permission] = Field(min_length=1, max_length=len(Permission))

    def wanted(self) -> list[Permission]:
        """Each scope once, in order."""
        return sorted(set(self.scopes))


class RotationIn(Body):
    """How long the old key lives on beside the new one."""

    overlap_s: StrictInt = Field(3600, ge=0, le=30 * 24 * 3600)


@router.post("", status_code=201, response_model=answers.NewKey)
async def create_key(request: Request, body: KeyIn) -> Response:
    """Make a key; with `partner` it is bound to that one. The answer is the only place where it can be read."""
    made = await made_key(request, body)
    content = {"key_id": made.id, "name": body.name, "scopes": body.wanted(), "partner": body.partner}
    return json_response(content | {"key": made.secret}, 201)


async def made_key(request: Request, body: KeyIn, key_id: UUID | None = None) -> NewKey:
    """Make a key; with `partner` it is bound to that one. RuleViolation if one has the id."""
    async with unit_of_work(request) as uow:
        partner_id = await partner_id_of(uow.connection, body.partner) if body.partner else None
        return await api_keys.create(uow, body.name, body.wanted(), partner_id, key_id=key_id)


@router.get("", response_model=answers.Page[answers.Key])
async def list_keys(request: Request) -> Response:
    """All keys without their secrets, newest first."""
    async with transaction(state_of(request).engine, readonly=True) as connection:
        keys = await api_keys.list_all(connection)
    return json_response({"items": [_key_out_from_key(key) for key in keys], "next": None})


@router.post("/{key_id}/rotate", status_code=201, response_model=answers.RotatedKey)
async def rotate_key(request: Request, key_id: UuidPath, body: RotationIn) -> Response:
    """Make a new key with the same name and scopes; the old one works on for the overlap."""
    made = await rotated_key(request, key_id, body)
    return json_response({"key_id": made.id, "key": made.secret, "replaces": key_id, "overlap_s": body.overlap_s}, 201)


async def rotated_key(request: Request, key_id: UUID, body: RotationIn) -> NewKey:
    """Make a new key in the place of one."""
    async with unit_of_work(request) as uow:
        made = await api_keys.rotate(uow, state_of(request).keys, key_id, timedelta(seconds=body.overlap_s))
    if made is None:
        raise Problem(404, f"There is no valid key {key_id}.")
    return made


@router.delete("/{key_id}", status_code=204)
async def revoke_key(request: Request, key_id: UuidPath) -> Response:
    """End a key; every process refuses it within two seconds."""
    async with unit_of_work(request) as uow:
        revoked = await api_keys.revoke(uow, state_of(request).keys, key_id)
    if not revoked:
        raise Problem(404, f"There is no key {key_id} that is still valid.")
    return Response(status_code=204)


def _key_out_from_key(key: ApiKey) -> dict[str, object]:
    return {
        "key_id": key.id,
        "name": key.name,
        "scopes": key.scopes,
        "partner": key.partner,
        "maker": key.maker,
        "created_at": instant_out(key.created_at),
        "expires_at": instant_out(key.expires_at),
        "revoked_at": instant_out(key.revoked_at),
    }
