"""Reading a header of a request without decoding the others."""

from starlette.types import Scope


def header(scope: Scope, name: bytes) -> str:
    """The first header of that name, which is in lower case; empty if there is none."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return ""
