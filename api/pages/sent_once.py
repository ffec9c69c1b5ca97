"""The same form sent twice does it once: whoever sends it again is led where it led the first time.

The token of a form is another one on every page that is shown, so a form is known by all that is sent with it. Its
digest is stored before it is done and, once it is done, with where it led; what was refused may be sent again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from hashlib import sha256

from fastapi import Request, Response

from api.access.cookies import set_notice
from api.multipart import SentFile
from api.problems import Problem
from api.state import state_of
from db.access import sent_forms
from db.access.sent_forms import Claim
from db.core.engine import transaction
from db.core.errors import DATABASE_UNAVAILABLE

_PAUSE_S = 0.1
_PATIENCE_S = 15.0
_SEE_OTHER = 303


async def sent_once(request: Request, act: Callable[[], Awaitable[Response]]) -> Response:
    """What `act` answers to the form that was read; sent again, the way to where it led.

    Problem 409 if it takes long and is still being done.
    """
    digest = await asyncio.to_thread(_digest, request)
    claim = await _claimed(request, digest)
    if not claim.is_mine:
        return _led_again(request, claim.led_to)
    led_to = ""
    try:
        response = await act()
        if response.status_code == _SEE_OTHER:
            led_to = response.headers["location"]
        return response
    finally:
        # What was done is done: that it cannot be remembered now is no reason to say that it failed.
        with suppress(*DATABASE_UNAVAILABLE):
            await _remember(request, digest, led_to)


async def _claimed(request: Request, digest: bytes) -> Claim:
    """The claim to a form, once nobody else is at it."""
    deadline = asyncio.get_running_loop().time() + _PATIENCE_S
    while True:
        async with transaction(state_of(request).engine) as connection:
            claim = await sent_forms.claim(connection, digest)
        if claim.is_mine or claim.led_to:
            return claim
        if asyncio.get_running_loop().time() > deadline:
            raise Problem(409, "This was sent before and is still being done. Look in a moment what became of it.")
        await asyncio.sleep(_PAUSE_S)


async def _remember(request: Request, digest: bytes, led_to: str) -> None:
    async with transaction(state_of(request).engine) as connection:
        if led_to:
            await sent_forms.finish(connection, digest, led_to)
        else:
            await sent_forms.release(connection, digest)


def _digest(request: Request) -> bytes:
    """Of the path and all that was sent; files count with their content."""
    files: Mapping[str, SentFile] = request.scope.get("files", {})
    contents = [(name, file.name, sha256(file.content).digest()) for name, file in sorted(files.items())]
    sent = (request.url.path, sorted(request.scope["form"].items()), contents)
    return sha256(repr(sent).encode()).digest()


def _led_again(request: Request, path: str) -> Response:
    response = Response(status_code=_SEE_OTHER, headers={"Location": path, "Cache-Control": "no-store"})
    set_notice(response, state_of(request).settings, "You sent this twice; it was done once.")
    return response
