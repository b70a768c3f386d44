"""The whole node on one port: the data plane, and the API beside it as it grows."""

from fastapi import FastAPI

from kamu_assets.node import Node
from kamu_gateway.app import create_app as create_gateway


def create_app(node: Node) -> FastAPI:
    """Everything that a client of this node can reach over HTTP."""
    return create_gateway(node)
