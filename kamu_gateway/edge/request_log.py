"""One log event per request, health checks left out: method, path, status, duration. Never a query string or a body."""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger()

PATH_SHOWN = 200


class RequestLog:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/system/"):
            await self._app(scope, receive, send)
            return
        start = time.perf_counter()
        # Stays so when the client left before there was an answer.
        status: int | None = None

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            took = round((time.perf_counter() - start) * 1000, 1)
            log.info("request", method=scope["method"], path=scope["path"][:PATH_SHOWN], status=status, ms=took)
