"""One log event per request, health checks left out: method, path, status, duration. Never a query string or a body.

Every request has an id: the caller's `X-Request-Id` if it is a plain word, else a new one. It is in the answer and in
whatever is logged on the way.
"""

import re
import secrets
import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kamu_assets.monitoring import metrics

log = structlog.get_logger()

PATH_SHOWN = 200
REQUEST_ID = "x-request-id"
_PLAIN = re.compile(r"[0-9A-Za-z._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestLog:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/system/"):
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        request_id = _request_id(scope)
        # Stays so when the client left before there was an answer.
        status: int | None = None

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        with structlog.contextvars.bound_contextvars(request=request_id):
            try:
                await self._app(scope, receive, watch)
            finally:
                seconds = time.perf_counter() - start
                _count(scope, status, seconds)
                shown = scope["path"][:PATH_SHOWN]
                log.info("request", method=scope["method"], path=shown, status=status, ms=round(seconds * 1000, 1))


def _request_id(scope: Scope) -> str:
    given = Headers(scope=scope).get(REQUEST_ID, "")
    return given if _PLAIN.fullmatch(given) else secrets.token_hex(8)


def _count(scope: Scope, status: int | None, seconds: float) -> None:
    """By the route's template: paths name datasets, and anybody can make up more of them."""
    method = scope["method"] if scope["method"] in _METHODS else "other"
    route = getattr(scope.get("route"), "path", "none")
    metrics.HTTP_REQUESTS.add(method, route, str(status or 0))
    metrics.HTTP_SECONDS.observe(seconds, method, route)
