"""Sending a message once, by HTTP, to an address that was checked a moment before."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from socket import IPPROTO_TCP, gaierror
from uuid import UUID

import httpx
from standardwebhooks.webhooks import Webhook

from billing.errors import InvalidValue
from billing.webhooks.destinations import Network, check_addresses
from db.core.version import version
from db.outgoing.deliveries import Attempt

TIMEOUT_S = 10.0
"""For everything: looking the name up, connecting, sending, the first bytes of the answer."""

_MOST_ANSWER_BYTES = 500
_MOST_ADDRESSES = 3

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Looks up the addresses of a host."""


@asynccontextmanager
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """What sends messages.

    It follows no redirect, asks no proxy, which would look names up by itself, and keeps no connection: that would be
    for an address, and the next host at this address has another certificate.
    """
    async with httpx.AsyncClient(
        verify=ssl.create_default_context(),
        trust_env=False,
        follow_redirects=False,
        timeout=TIMEOUT_S,
        limits=httpx.Limits(max_keepalive_connections=0),
        headers={"User-Agent": f"Leadger/{version()}", "Accept-Encoding": "identity"},
    ) as made:
        yield made


def signed_headers(message_id: UUID, body: str, secrets: Sequence[str]) -> dict[str, str]:
    """The headers by Standard Webhooks: the id, the time of this attempt, and a signature with each secret."""
    at = datetime.now(UTC)
    signatures = " ".join(Webhook(secret).sign(str(message_id), at, body) for secret in secrets)
    named = {"webhook-id": str(message_id), "webhook-timestamp": str(int(at.timestamp()))}
    return named | ({"webhook-signature": signatures} if signatures else {})


async def lookup(host: str, port: int) -> list[str]:
    """The addresses of a host as the system finds them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, proto=IPPROTO_TCP)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def post(
    sender: httpx.AsyncClient,
    url: str,
    body: str,
    headers: Mapping[str, str],
    own: Sequence[Network],
    resolve: Resolve = lookup,
) -> Attempt:
    """Send a message once; what goes wrong is in the attempt, and nothing of it names the URL."""
    at, started = datetime.now(UTC), time.monotonic()
    status = answer = error = None
    try:
        async with asyncio.timeout(TIMEOUT_S):
            status, answer = await _post(sender, url, body.encode(), headers, own, resolve)
        if 300 <= status < 400:
            error = "It answers with a redirect, which is not followed."
    except InvalidValue as refused:
        error = f"The URL {refused}."
    except gaierror as unknown:
        error = f"The host cannot be looked up: {unknown.strerror}."
    except (TimeoutError, httpx.TimeoutException):
        error = f"No answer within {TIMEOUT_S:g} s."
    except (httpx.HTTPError, OSError, ssl.SSLError) as failure:
        error = f"The connection failed: {failure or type(failure).__name__}"
    return Attempt(at, round((time.monotonic() - started) * 1000), status, answer, error)


async def _post(
    sender: httpx.AsyncClient,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    own: Sequence[Network],
    resolve: Resolve,
) -> tuple[int, str]:
    parts = httpx.URL(url)
    port = parts.port or {"https": 443, "http": 80}[parts.scheme]
    addresses = check_addresses(await resolve(parts.host, port), own, own_only=parts.scheme == "http")
    *others, last = addresses[:_MOST_ADDRESSES]
    for address in [*others, last]:
        request = sender.build_request(
            "POST",
            parts.copy_with(host=str(address)),
            content=body,
            headers={"Content-Type": "application/json", **headers, "Host": parts.netloc.decode()},
            extensions={"sni_hostname": parts.host},
        )
        try:
            response = await sender.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if address is last:
                raise
            continue
        try:
            return response.status_code, await _first_bytes(response)
        finally:
            await response.aclose()
    raise AssertionError


async def _first_bytes(response: httpx.Response) -> str:
    """The beginning of an answer as text that Postgres takes; a receiver that sends no end is not listened to."""
    content = b""
    async for chunk in response.aiter_raw():
        content += chunk
        if len(content) >= _MOST_ANSWER_BYTES:
            break
    return content[:_MOST_ANSWER_BYTES].decode("utf-8", "replace").replace("\0", "\ufffd")
