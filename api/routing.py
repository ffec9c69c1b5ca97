"""The class of our routes: permission first, JSON bodies within limits, and no unknown query parameter."""

from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from api.access.permissions import ANYBODY, Requirement, caller_of
from api.body import JSON_TYPES, content_type, json_from_body, read_body
from api.problems import FieldError, Problem
from api.schemas.crowded import refuse_crowded
from api.schemas.repeated import repeated_names
from api.state import answer_beside

_MOST_BYTES = 1024 * 1024
_MOST_BYTES_OF_ANYBODY = 16 * 1024
_REPEATED = "is given more than once"
_NUL = "must not have the character NUL"


class Route(APIRoute):
    """Checks the permission first, and refuses what FastAPI alone would read without a limit or ignore."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.description = "\n\n".join([self.description, *(each.in_words() for each in self._requirements())])

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of the route, which makes our checks before FastAPI's."""
        handle = super().get_route_handler()
        requirements = self._requirements()
        read_from = (self.dependant, *self.dependant.dependencies)
        known = {parameter.alias for each in read_from for parameter in each.query_params}
        # What anybody may ask, whether the process lives and is ready, does not wait for those who read.
        reads = requirements and self.methods == {"GET"}

        async def handler(request: Request) -> Response:
            for requirement in requirements:
                await requirement(request)
            if request.scope["query_string"]:
                _check_query(request, known)
            asked = _JsonRequest(request.scope, request.receive)
            return await (answer_beside(asked, handle) if reads else handle(asked))

        return handler

    def _requirements(self) -> list[Requirement]:
        return [each.dependency for each in self.dependencies if isinstance(each.dependency, Requirement)]


_MOST_ITEMS = 10_000
"""The longest list that a body may hold, of ids to be tried again."""


class _JsonRequest(Request):
    """A request whose body is read within limits and decoded strictly when FastAPI asks for it."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            content_type(self, JSON_TYPES)
            most_bytes = _MOST_BYTES_OF_ANYBODY if caller_of(self) is ANYBODY else _MOST_BYTES
            self._body = await read_body(self, most_bytes)
        return self._body

    async def json(self) -> Any:
        body = await self.body()
        refuse_crowded(body, _MOST_ITEMS, _MOST_ITEMS)
        value = json_from_body(body)
        if errors := [FieldError(pointer, _REPEATED) for pointer in repeated_names(body)]:
            raise Problem(400, f"{errors[0].pointer} {errors[0].detail}.", errors)
        return value


def _check_query(request: Request, known: set[str]) -> None:
    """Problem 400 for unknown and repeated parameters: `dry-run`, or `dry_run=true&dry_run=false`, would bill."""
    given = Counter(name for name, _ in request.query_params.multi_items())
    errors = [FieldError(f"query:{name}", "is not a known parameter") for name in given if name not in known]
    errors += [FieldError(f"query:{name}", _REPEATED) for name in given if name in known and given[name] > 1]
    errors += [FieldError(f"query:{name}", _NUL) for name, text in request.query_params.multi_items() if "\0" in text]
    if errors:
        more = f" Known are: {', '.join(sorted(known))}." if known and errors[0].detail not in (_REPEATED, _NUL) else ""
        raise Problem(400, f"{errors[0].pointer} {errors[0].detail}.{more}", errors)
