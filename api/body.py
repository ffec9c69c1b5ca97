"""Reading a request body within limits of size, time and memory, whatever its headers say about it."""

import asyncio
import zlib
from collections.abc import Iterable
from io import BytesIO
from typing import Any

import msgspec
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from api.headers import header
from api.problems import FieldError, Problem, without_frames
from api.state import State
from api.traffic.body_budget import HeldBytes
from api.traffic.body_deadlines import Arrival
from api.traffic.concurrency import LARGE_BYTES

BOM = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8; some editors and libraries write it before JSON, where it means nothing."""
JSON_TYPES = frozenset({"application/json", "text/json"})

_MOST_DISCARDED_BYTES = 512 * 1024 * 1024
_MOST_MEMBERS = 1000
_STEP_BYTES = 64 * 1024
_STEPS_AT_ONCE = 8

_CHARSETS = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})  # what is ASCII is UTF-8, too
_GZIP = frozenset({"gzip", "x-gzip"})  # two names of one thing (RFC 9110, 8.4.1.3)
_OTHER_UNICODE = {
    b"\xff\xfe\x00\x00": "UTF-32",
    b"\x00\x00\xfe\xff": "UTF-32",
    b"\xff\xfe": "UTF-16",
    b"\xfe\xff": "UTF-16",
}

_decode = msgspec.json.Decoder().decode


def content_type(request: Request, supported: Iterable[str]) -> str:
    """The media type of the body; Problem 415 if it is not among `supported` or not UTF-8."""
    kind, _, parameters = header(request.scope, b"content-type").lower().partition(";")
    kind = kind.strip()
    if kind not in supported:
        shown = " or ".join(sorted(each for each in supported if each.startswith("application/")))
        raise Problem(415, f"Content-Type {kind!r} is not supported; send {shown}.")
    if parameters and (charset := _charset(parameters)) not in _CHARSETS:
        raise Problem(415, f"The body must be UTF-8, and Content-Type says that it is {charset}.")
    return kind


async def drop_body(scope: Scope, receive: Receive) -> None:
    """Read the body and keep nothing of it: many clients that are answered while they write see a broken pipe instead.

    A client that asks first whether to send the body (`Expect: 100-continue`) never sends it.
    """
    if header(scope, b"expect").lower() == "100-continue":
        return
    state: State = scope["app"].state.leadger
    arrival = state.body_deadlines.begin()
    try:
        await _drop(receive, arrival)
    except asyncio.CancelledError:
        _check_given_up(arrival)
    finally:
        state.body_deadlines.end(arrival)


async def read_body(request: Request, most_bytes: int) -> bytes:
    """The body, unpacked if it is gzip. What is large is counted in `scope["held_bytes"]`, for the request to release.

    Problem 413 if either form is larger than `most_bytes`, 415 or 400 if it cannot be read, 408 if it comes too slowly,
    429 if the process holds too many bytes of bodies.
    """
    encoding = header(request.scope, b"content-encoding").strip().lower() or "identity"
    if encoding != "identity" and encoding not in _GZIP:
        raise Problem(415, f"Content-Encoding {encoding!r} is not supported; send the body as it is or as gzip.")
    state: State = request.scope["app"].state.leadger
    try:
        if encoding == "identity":
            return await _in_time(request, state, most_bytes)
        return await gunzip(await _in_time(request, state, most_bytes), most_bytes, held_bytes(request, state))
    except Problem as problem:
        raise without_frames(problem) from None


async def _in_time(request: Request, state: State, most_bytes: int) -> bytes:
    arrival = state.body_deadlines.begin()
    try:
        return await _receive(request, state, arrival, most_bytes)
    except asyncio.CancelledError:
        _check_given_up(arrival)
        raise
    finally:
        state.body_deadlines.end(arrival)


async def _receive(request: Request, state: State, arrival: Arrival, most_bytes: int) -> bytes:
    receive = request.receive
    part, more = await _next_part(receive)
    if not more and len(part) < LARGE_BYTES and len(part) <= most_bytes:
        return part
    held = held_bytes(request, state)
    whole = BytesIO()  # gives what was written into it without a copy
    try:
        while True:
            if whole.tell() + len(part) > most_bytes:
                raise _too_large(most_bytes)
            held.add(len(part))
            whole.write(part)
            if not more:
                return whole.getvalue()
            arrival.count(len(part))
            part, more = await _next_part(receive)
    except Problem:
        # The rest is read and dropped, so that the client sees the answer instead of a broken pipe.
        held.release()
        del whole
        if more:
            await _drop(receive, arrival)
        raise


async def _next_part(receive: Receive) -> tuple[bytes, bool]:
    """Some bytes, and whether there are more."""
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    return message.get("body", b""), message.get("more_body", False)


async def _drop(receive: Receive, arrival: Arrival) -> None:
    size, more = 0, True
    while more and size <= _MOST_DISCARDED_BYTES:
        message = await receive()
        more = message.get("more_body", False)
        arrival.count(len(message.get("body", b"")))
        size += len(message.get("body", b""))


def held_bytes(request: Request, state: State) -> HeldBytes:
    """What the request holds. `AdmissionMiddleware` releases it when the request is answered."""
    scope = request.scope
    if "held_bytes" not in scope:
        scope["held_bytes"] = HeldBytes(state.body_budget, scope["caller"].id)
    held: HeldBytes = scope["held_bytes"]
    return held


def _check_given_up(arrival: Arrival) -> None:
    """Problem 408 if the request was cancelled because its body is late; else somebody else cancelled it."""
    if arrival.given_up:
        arrival.task.uncancel()
        raise Problem(
            408,
            f"The body came too slowly: nothing came for {arrival.timeout_s:g} s, or too little for long; "
            "nothing was stored.",
            headers={"Connection": "close"},
        ) from None


def json_from_body(body: bytes) -> Any:
    """Decode JSON as RFC 8259 has it: UTF-8, no NaN, no lone surrogates; Problem 400 for anything else.

    A byte order mark before it is passed over.
    """
    try:
        return _decode(body.removeprefix(BOM))
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Problem(400, "The body is not valid JSON.", [FieldError("#", json_fault(error, body))]) from None


def json_fault(error: Exception, body: bytes = b"") -> str:
    """Why a text, or a body, is not JSON."""
    if encoding := _other_encoding(body):
        return f"is {encoding}, and must be UTF-8"
    match error:
        case RecursionError():
            return "is nested too deeply"
        case UnicodeDecodeError():
            return f"is not UTF-8 (byte {error.start})"
    return str(error).removeprefix("JSON is malformed: ")


def _charset(parameters: str) -> str:
    """The parameter `charset` of a media type; UTF-8 if there is none."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip() == "charset":
            return value.strip().strip('"')
    return "utf-8"


def _other_encoding(body: bytes) -> str | None:
    """UTF-16 or UTF-32 by its byte order mark, or by the zeros beside its first character, which begins JSON."""
    for mark, name in _OTHER_UNICODE.items():
        if body.startswith(mark):
            return name
    zeros = [octet == 0 for octet in body[:4]]
    if zeros.count(True) == 3:
        return "UTF-32"
    return "UTF-16" if zeros[:2] in ([True, False], [False, True]) else None


async def gunzip(body: bytes, most_bytes: int, held: HeldBytes) -> bytes:
    """Decompress gzip in small steps, so that neither a zip bomb nor a body of countless empty members costs much.

    Other requests have their turn every few steps.
    """
    unpacked = BytesIO()
    stream = zlib.decompressobj(wbits=31)
    members = 1
    steps = 0
    try:
        for start in range(0, len(body), _STEP_BYTES):
            rest = body[start : start + _STEP_BYTES]
            while rest:
                if stream.eof:
                    if not rest.strip(b"\0") and not body[start + _STEP_BYTES :].strip(b"\0"):
                        return unpacked.getvalue()  # zeros after the last member are padding, as gzip itself has it
                    stream = zlib.decompressobj(wbits=31)
                    members += 1
                    if members > _MOST_MEMBERS:
                        raise Problem(400, f"The gzip body has more than {_MOST_MEMBERS} members.")
                part = stream.decompress(rest, _STEP_BYTES)
                if unpacked.tell() + len(part) > most_bytes:
                    raise _too_large(most_bytes)
                held.add(len(part))
                unpacked.write(part)
                rest = stream.unused_data if stream.eof else stream.unconsumed_tail
                steps += 1
                if steps % _STEPS_AT_ONCE == 0:
                    await asyncio.sleep(0)
    except zlib.error:
        raise Problem(400, "The body is not valid gzip, although Content-Encoding says so.") from None
    if not stream.eof:
        raise Problem(400, "The gzip body ends too early.")
    return unpacked.getvalue()


def _too_large(most_bytes: int) -> Problem:
    return Problem(413, f"The body is larger than {most_bytes} bytes, which is the most that is taken here.")
