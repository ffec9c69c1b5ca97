"""Reading a request body within limits, whatever its headers say about it."""

import zlib
from collections.abc import Iterable
from typing import Any

import msgspec
from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from api.headers import header
from api.problems import FieldError, Problem

BOM = b"\xef\xbb\xbf"
"""The byte order mark of UTF-8; some editors and libraries write it before JSON, where it means nothing."""
JSON_TYPES = frozenset({"application/json", "text/json"})

_MOST_DISCARDED_BYTES = 512 * 1024 * 1024
_MOST_MEMBERS = 1000
_STEP_BYTES = 64 * 1024

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
    while (await receive()).get("more_body"):
        pass


async def read_body(request: Request, most_bytes: int) -> bytes:
    """The body, unpacked if it is gzip.

    Problem 413 if either form is larger than `most_bytes`, 415 or 400 if it cannot be read.
    """
    encoding = header(request.scope, b"content-encoding").strip().lower() or "identity"
    if encoding != "identity" and encoding not in _GZIP:
        raise Problem(415, f"Content-Encoding {encoding!r} is not supported; send the body as it is or as gzip.")
    parts = []
    size, more = 0, True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part, more = message.get("body", b""), message.get("more_body", False)
        size += len(part)
        if size <= most_bytes:
            parts.append(part)
        else:
            # The rest is read and dropped, so that the client sees the answer instead of a broken pipe.
            parts.clear()
            if size > _MOST_DISCARDED_BYTES:
                break
    if size > most_bytes:
        raise _too_large(most_bytes)
    body = b"".join(parts)
    return _gunzip(body, most_bytes) if encoding in _GZIP else body


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


def _gunzip(body: bytes, most_bytes: int) -> bytes:
    """Decompress gzip in small steps, so that neither a zip bomb nor a body of countless empty members costs much."""
    unpacked = bytearray()
    stream = zlib.decompressobj(wbits=31)
    members = 1
    try:
        for start in range(0, len(body), _STEP_BYTES):
            rest = body[start : start + _STEP_BYTES]
            while rest:
                if stream.eof:
                    if not rest.strip(b"\0") and not body[start + _STEP_BYTES :].strip(b"\0"):
                        return bytes(unpacked)  # zeros after the last member are padding, as gzip itself has it
                    stream = zlib.decompressobj(wbits=31)
                    members += 1
                    if members > _MOST_MEMBERS:
                        raise Problem(400, f"The gzip body has more than {_MOST_MEMBERS} members.")
                unpacked += stream.decompress(rest, _STEP_BYTES)
                if len(unpacked) > most_bytes:
                    raise _too_large(most_bytes)
                rest = stream.unused_data if stream.eof else stream.unconsumed_tail
    except zlib.error:
        raise Problem(400, "The body is not valid gzip, although Content-Encoding says so.") from None
    if not stream.eof:
        raise Problem(400, "The gzip body ends too early.")
    return bytes(unpacked)


def _too_large(most_bytes: int) -> Problem:
    return Problem(413, f"The body is larger than {most_bytes} bytes, which is the most that is taken here.")
