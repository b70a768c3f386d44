"""From families of failure to HTTP."""

import pytest

from kamu_assets.auth.errors import InvalidTokenError
from kamu_assets.coordinator.ingest.errors import BadInputError, QueueFullError, UnsupportedMediaTypeError
from kamu_assets.datasets.errors import DatasetNotFoundError, NameCollisionError
from kamu_assets.errors import KamuError
from kamu_assets.odf.identity import DatasetAlias
from kamu_gateway.edge.errors import status_of

ALIAS = DatasetAlias.parse("kamu/a")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (BadInputError("x"), 400),
        (InvalidTokenError(), 403),
        (DatasetNotFoundError(ALIAS), 404),
        (NameCollisionError(ALIAS), 409),
        (UnsupportedMediaTypeError("x"), 415),
        (QueueFullError("x"), 429),
        (KamuError("of no family"), 500),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_family_has_its_status(error: KamuError, status: int) -> None:
    assert status_of(error) == status
