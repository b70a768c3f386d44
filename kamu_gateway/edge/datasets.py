"""Routes of one dataset: who is asking and which dataset is settled before anything else is looked at.

A dataset that the caller may not read does not exist (404), one that may only be read refuses writes (403), both
without a word, but for a header that asks nobody for a token. Whatever is not GET or HEAD counts as a write, known to
the route or not.
"""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from kamu_assets.auth.model import Caller
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.errors import DeniedError
from kamu_assets.governance.access import Action
from kamu_assets.node import Node
from kamu_assets.odf.identity import AccountName, DatasetAlias
from kamu_assets.odf.names import DatasetName, InvalidNameError
from kamu_gateway.edge.caller import known_caller
from kamu_gateway.edge.errors import ASK_FOR_ACCOUNT, EmptyAnswerError, TextAnswerError
from kamu_gateway.edge.threads import in_thread

# The path of every route below a dataset starts so.
DATASET = "/{account_name}/{dataset_name}"


@dataclass(frozen=True, slots=True)
class Admission:
    """A caller who may do to a dataset what the verb says."""

    caller: Caller
    dataset: DatasetEntry


class DatasetRoute(APIRoute):
    """A route below `DATASET`; its handler asks for an `Admitted`."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "OPTIONS":
            request = Request(scope)
            request.state.admission = await in_thread(_admit, request.app.state.node, request)
        await super().handle(scope, receive, send)


def _admit(node: Node, request: Request) -> Admission:
    caller = known_caller(node, request.headers.get("authorization"))
    action = Action.READ if request.method in ("GET", "HEAD") else Action.WRITE
    try:
        return Admission(caller, node.datasets.resolve(caller, _alias(request), action=action))
    except DatasetNotFoundError as error:
        raise EmptyAnswerError(404) from error
    except DeniedError as error:
        raise EmptyAnswerError(403, challenge=ASK_FOR_ACCOUNT if caller.account is None else None) from error


def _alias(request: Request) -> DatasetAlias:
    try:
        account, name = request.path_params["account_name"], request.path_params["dataset_name"]
        return DatasetAlias(AccountName.parse(account), DatasetName.parse(name))
    except InvalidNameError as error:
        raise TextAnswerError(400, f"Invalid URL: {error}") from error


async def admission_of(request: Request) -> Admission:
    """What `DatasetRoute` found out."""
    admission: Admission = request.state.admission
    return admission


Admitted = Annotated[Admission, Depends(admission_of)]
