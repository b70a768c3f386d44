"""What a worker is given to compute, and what becomes of errors there."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from kamu_assets.engines.engine import InternalError, InvalidQuery, RawQueryRequest, TransformRequest
from kamu_assets.engines.slice_writer import Encodings
from kamu_assets.engines.sql_guard import StatementNotAllowedError, plain_text, refuse_panic
from kamu_assets.errors import InvalidError

_Job = TypeVar("_Job")
_Success = TypeVar("_Success")


@dataclass(frozen=True)
class TransformJob:
    """A request with what the node decides."""

    request: TransformRequest
    encodings: Encodings
    memory_bytes: int
    # Hash the rows and write no file, where that can be.
    hash_only: bool = False


@dataclass(frozen=True)
class RawQueryJob:
    request: RawQueryRequest
    memory_bytes: int


def answer(execute: Callable[[_Job], _Success], job: _Job) -> _Success | InvalidQuery | InternalError:
    """Execute, and tell errors of the query's author from those of the engine."""
    try:
        return execute(job)
    except StatementNotAllowedError as error:
        # Upstream calls that an internal error.
        return InternalError(str(error))
    except InvalidError as error:
        return InvalidQuery(str(error))
    except BaseException as error:  # noqa: BLE001 - a panic of the library is a BaseException
        refuse_panic(error)
        return InternalError(plain_text(error))
