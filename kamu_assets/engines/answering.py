"""What becomes of errors of a job, in its worker."""

import re
from collections.abc import Callable
from typing import TypeVar

from kamu_assets.engines.engine import InternalError, InvalidQuery
from kamu_assets.engines.job import RawQueryJob, TransformJob
from kamu_assets.engines.sql.errors import StatementNotAllowedError
from kamu_assets.engines.sql.guard import plain_text, refuse_panic
from kamu_assets.errors import InvalidError

_Job = TypeVar("_Job", TransformJob, RawQueryJob)
_Success = TypeVar("_Success")

# What Arrow says when a schema is handed over.
_NUL_IN_NAME = "C Data interface error: Null byte"
_NAME_WITH_NUL = re.compile(r"""["'`]([^"'`]*\0[^"'`]*)["'`]""")


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
        text = plain_text(error)
        return InvalidQuery(_nul_told(job)) if text.startswith(_NUL_IN_NAME) else InternalError(text)


def _nul_told(job: TransformJob | RawQueryJob) -> str:
    names = [name for step in job.request.transform.queries or () for name in _NAME_WITH_NUL.findall(step.query)]
    which = f" {', '.join(map(ascii, names))}" if names else ""
    return f"the name{which} of a column or of a part of one has a zero byte (NUL), which no name may have"
