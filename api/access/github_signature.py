"""Letting GitHub in: a delivery of its webhook has no key, and is signed with a secret that both sides know."""

import hashlib
import hmac

from fastapi import Depends, Request
from fastapi.params import Depends as Dependency

from api.access.permissions import Requirement
from api.body import read_body
from api.headers import header
from api.problems import Problem
from api.state import state_of

_MOST_BYTES = 1024 * 1024
_SIGNED_BY = "sha256="
_BODY = "leadger.signed_body"


class IsSignedByGitHub(Requirement):
    """The body is signed with GITHUB_WEBHOOK_SECRET, which `signed_body` then returns."""

    async def __call__(self, request: Request) -> None:
        """Problem 401 for any other body, and for all while there is no secret."""
        if _BODY in request.scope:
            return
        body = await read_body(request, _MOST_BYTES)
        secret = state_of(request).settings.github_webhook_secret
        if not is_signed(body, header(request.scope, b"x-hub-signature-256"), secret):
            raise Problem(401, "The signature in X-Hub-Signature-256 is missing or is not that of the body.")
        request.scope[_BODY] = body

    def in_words(self) -> str:
        """GitHub, by its signature."""
        return "Needs the body's signature with GITHUB_WEBHOOK_SECRET in `X-Hub-Signature-256`."


FOR_GITHUB: Dependency = Depends(IsSignedByGitHub())


def signed_body(request: Request) -> bytes:
    """The body that GitHub has signed."""
    body: bytes = request.scope[_BODY]
    return body


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Whether GitHub signed the body, compared in constant time; nothing is signed with an empty secret."""
    if not secret or not signature.startswith(_SIGNED_BY):
        return False
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(signature.removeprefix(_SIGNED_BY).encode(), expected.encode())
