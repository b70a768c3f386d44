"""The node that an application serves."""

from typing import Annotated

from fastapi import Depends, Request

from kamu_assets.node import Node


async def node_of(request: Request) -> Node:
    """The node given to `create_app`."""
    node: Node = request.app.state.node
    return node


CurrentNode = Annotated[Node, Depends(node_of)]
