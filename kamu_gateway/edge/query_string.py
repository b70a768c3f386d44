"""Query strings that say one thing twice."""

from collections.abc import Iterator

from fastapi import Request
from fastapi.dependencies.models import Dependant

from kamu_gateway.edge.errors import TextAnswerError


async def said_once(request: Request) -> None:
    """Refuse a parameter that is given again: nobody knows which of them is meant. Unknown ones mean nothing."""
    names = [name for name, _ in request.query_params.multi_items()]
    if len(set(names)) == len(names):
        return
    for name in _known(request.scope["route"].dependant):
        if names.count(name) > 1:
            raise TextAnswerError(400, f"Failed to deserialize query string: duplicate field `{name}`")


def _known(asking: Dependant) -> Iterator[str]:
    """What a handler asks of the query string, itself or through what it depends on."""
    yield from (parameter.alias for parameter in asking.query_params)
    for part in asking.dependencies:
        yield from _known(part)
