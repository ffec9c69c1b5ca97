"""The fast path: POST /leads without a query calls its function without FastAPI, see docs/decisions/0010."""

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.routes.leads import post_leads


class FastPathMiddleware:
    """Serves the one request that comes thousands of times a second.

    Without a query every parameter of `post_leads` has its default, so FastAPI has nothing to do, but finding that out
    takes longer than accepting a lead. Every other request goes on to the routes, also POST /leads with a query.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and _is_plain_post_leads(scope):
            response = await post_leads(Request(scope, receive))
            await response(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def _is_plain_post_leads(scope: Scope) -> bool:
    return scope["path"] == "/leads" and scope["method"] == "POST" and not scope["query_string"]
