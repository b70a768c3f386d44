"""Cross-origin rules as Kamu's clients know them: any origin, any header, GET and POST.

They hold for routes that exist, but for `/system/*` and the description of the API; the answer to an unknown path
carries none.
"""

from collections.abc import Mapping

from fastapi import Request, Response
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_DESCRIPTIONS = ("/openapi", "/openapi.json")
_VARY = "origin, access-control-request-method, access-control-request-headers"


class CrossOrigin:
    """ASGI middleware that marks answers of existing routes as readable from anywhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _applies(scope):
            await self._app(scope, receive, send)
            return

        async def mark(message: Message) -> None:
            # The router leaves the endpoint behind when it has found one.
            if message["type"] == "http.response.start" and "endpoint" in scope:
                headers = MutableHeaders(scope=message)
                headers["vary"] = _VARY
                headers["access-control-allow-origin"] = "*"
            await send(message)

        await self._app(scope, receive, mark)


def preflight(request: Request, allow: Mapping[str, str]) -> Response | None:
    """The answer to OPTIONS on an existing route; None when something else was asked."""
    if request.method != "OPTIONS" or not _applies(request.scope):
        return None
    return Response(headers={"access-control-allow-methods": "GET,POST", "access-control-allow-headers": "*", **allow})


def _applies(scope: Scope) -> bool:
    return not scope["path"].startswith("/system/") and scope["path"] not in _DESCRIPTIONS
