"""Multipart forms (RFC 7578): what a browser sends when a form has a file."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

_BOUNDARY = re.compile(r"""boundary=("?)([0-9A-Za-z'()+_,\-./:=?]{1,70})\1\s*(?:;|$)""", re.IGNORECASE)
_NAME = re.compile(r'; name="([^"]*)"')
_FILE_NAME = re.compile(r'; filename="([^"]*)"')
_MOST_PARTS = 500
_MOST_BYTES_OF_HEAD = 4096


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file with the name that it has on the machine of who sent it; both are empty if none was chosen."""

    name: str = ""
    content: bytes = b""


def read_multipart(body: bytes, content_type: str) -> tuple[Mapping[str, list[str]], Mapping[str, SentFile]]:
    """The texts and the files of a form by the names of their fields; raises ValueError for what no browser sends."""
    found = _BOUNDARY.search(content_type)
    boundary = b"--" + found[2].encode() if found else b""
    if not found or not body.startswith(boundary):
        raise ValueError("no boundary")
    texts: dict[str, list[str]] = defaultdict(list)
    files: dict[str, SentFile] = {}
    at = len(boundary)
    for _ in range(_MOST_PARTS):
        if body.startswith(b"--", at):
            return texts, files
        begin = body.find(b"\r\n\r\n", at, at + _MOST_BYTES_OF_HEAD)
        end = body.find(b"\r\n" + boundary, begin + 4)
        head = body[at:begin].decode()
        name, file_name = _NAME.search(head), _FILE_NAME.search(head)
        if begin < 0 or end < 0 or not name:
            raise ValueError("a part is broken")
        content = body[begin + 4 : end]
        if file_name:
            files[name[1]] = SentFile(file_name[1], content)
        else:
            texts[name[1]].append(content.decode())
        at = end + 2 + len(boundary)
    raise ValueError("too many parts")
