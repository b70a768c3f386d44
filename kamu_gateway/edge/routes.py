"""What the router knows about a path."""

from fastapi import Request
from fastapi.responses import PlainTextResponse
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


class EscapedSlashes:
    """ASGI middleware: an escaped slash is part of a name (RFC 3986, 2.2), and no name here has one.

    Routes are found by the path without escapes, where `/alice%2flog/tail` would be a dataset's.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = PlainTextResponse("Not Found", 404) if b"%2f" in scope.get("raw_path", b"").lower() else self._app
        await answer(scope, receive, send)


def allowed_methods(request: Request) -> list[str]:
    """The verbs that some route of this path takes."""
    routes = request.app.router.routes

    def takes(method: str) -> bool:
        asked = {**request.scope, "method": method}
        return any(route.matches(asked)[0] is Match.FULL for route in routes)

    return [method for method in _METHODS if takes(method)]
