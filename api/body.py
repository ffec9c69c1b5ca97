"""Reading a request body within limits, whatever it claims about itself."""

import zlib

from fastapi import Request

from api.problems import Problem

_MOST_DISCARDED_BYTES = 512 * 1024 * 1024
_STEP_BYTES = 1024 * 1024


async def read_body(request: Request, most_bytes: int) -> bytes:
    """The body, unpacked if it is gzip; Problem 413 if either form is larger than `most_bytes`, 415 or 400 if unreadable."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise Problem(415, f"Content-Encoding {encoding!r} is not supported; send the body as it is or as gzip.")
    parts = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= most_bytes:
            parts.append(part)
        else:
            # The rest is read and dropped, so that the client gets to see the answer instead of a broken pipe.
            parts.clear()
            if size > _MOST_DISCARDED_BYTES:
                break
    if size > most_bytes:
        raise _too_large(most_bytes)
    body = b"".join(parts)
    return _gunzip(body, most_bytes) if encoding == "gzip" else body


def _gunzip(body: bytes, most_bytes: int) -> bytes:
    unpacked = bytearray()
    rest = body
    try:
        while rest:
            stream = zlib.decompressobj(wbits=31)
            while rest and not stream.eof:
                unpacked += stream.decompress(rest, _STEP_BYTES)
                rest = stream.unconsumed_tail
                if len(unpacked) > most_bytes:
                    raise _too_large(most_bytes)
            if not stream.eof:
                raise Problem(400, "The gzip body ends too early.")
            rest = stream.unused_data
    except zlib.error:
        raise Problem(400, "The body is not valid gzip, although Content-Encoding says so.") from None
    return bytes(unpacked)


def _too_large(most_bytes: int) -> Problem:
    return Problem(413, f"The body is larger than {most_bytes} bytes; send the leads in several requests.")
