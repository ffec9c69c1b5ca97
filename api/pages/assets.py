"""The files beside the pages: styles and scripts, under a path that changes with their content."""

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from fastapi import APIRouter, Request, Response

from api.headers import header
from api.problems import Problem, path_of
from api.routing import Route

router = APIRouter(route_class=Route, include_in_schema=False)

_FOLDER = Path(__file__).with_name("static")
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_DIGEST_LETTERS = 16


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served."""

    url: str
    media_type: str
    content: bytes
    packed: bytes


@cache
def assets() -> dict[str, Asset]:
    """All files by their names."""
    return {path.name: _asset(path) for path in _FOLDER.iterdir() if path.suffix in _TYPES}


def url_of(name: str) -> str:
    """The path of a file as it is now."""
    return assets()[name].url


@router.get("/static/{digest}/{name}")
async def get_asset(request: Request, digest: str, name: str) -> Response:
    """A file that browsers keep for ever: another content has another path."""
    asset = assets().get(name)
    if asset is None or asset.url != f"/static/{digest}/{name}":
        raise Problem(404, f"There is nothing at {path_of(request)}.")
    headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
    if not takes_gzip(request):
        return Response(asset.content, headers=headers, media_type=asset.media_type)
    return Response(asset.packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=asset.media_type)


def takes_gzip(request: Request) -> bool:
    """Whether an answer may be gzip."""
    return "gzip" in header(request.scope, b"accept-encoding")


def _asset(path: Path) -> Asset:
    content = path.read_bytes()
    digest = sha256(content).hexdigest()[:_DIGEST_LETTERS]
    return Asset(f"/static/{digest}/{path.name}", _TYPES[path.suffix], content, gzip.compress(content, mtime=0))
