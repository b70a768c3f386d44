"""The data plane as one ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial

from fastapi import Depends, FastAPI

from kamu_assets.node import Node
from kamu_assets.storage.workplaces import workplace
from kamu_gateway.edge import errors
from kamu_gateway.edge.bodies import Intake
from kamu_gateway.edge.cors import CrossOrigin
from kamu_gateway.edge.failures import Failures
from kamu_gateway.edge.outgoing import Outgoing
from kamu_gateway.edge.query_string import said_once
from kamu_gateway.edge.request_log import RequestLog
from kamu_gateway.edge.routes import EscapedSlashes
from kamu_gateway.edge.threads import Lanes
from kamu_gateway.rest import ingest, metadata, metrics, openapi, query, system, tail, verify


def create_app(node: Node) -> FastAPI:
    """REST for one node; the caller closes the node."""
    app = FastAPI(
        title="Kamu node", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, lifespan=_lifespan
    )
    app.state.node = node
    # Made now, once: requests come on many threads.
    _ = node.coordinator, node.query
    errors.install(app)
    # The last one added is the outermost.
    for middleware in (EscapedSlashes, Failures, CrossOrigin, RequestLog):
        app.add_middleware(middleware)
    routers = [part.router for part in (system, openapi, query, verify, tail, metadata, ingest)]
    # What scrapes the node needs no description.
    for router in (*routers, metrics.router):
        app.include_router(router, dependencies=[Depends(said_once)])
    app.state.openapi = cache(partial(openapi.describe, routers))
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings = app.state.node.settings
    limits = settings.ingest
    with workplace(settings.uploads_path, "push") as folder:
        app.state.lanes = Lanes()
        app.state.outgoing = Outgoing()
        app.state.intake = Intake(
            folder=folder,
            max_body=limits.max_body,
            in_memory=limits.group_limit,
            budget=max(limits.queue_limit, limits.group_limit),
        )
        yield
