"""What can go wrong between us and a web server, in words that name the setting and hide what may be secret."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

import httpx

from kamu_assets.coordinator.ingest.errors import BadUrlError, SourceNotFoundError, SourceUnreachableError
from kamu_assets.coordinator.ingest.limits import FetchLimits
from kamu_assets.egress.network import DeadlineError
from kamu_assets.egress.policy import EgressDeniedError

# Other words of the HTTP library quote what the server sent.
_HARMLESS = "peer closed connection"


@contextmanager
def told_of(shown: str, limits: FetchLimits) -> Iterator[None]:
    """Tell failures as ours. The library's own are not chained: they may hold addresses and headers in full."""
    try:
        yield
    except EgressDeniedError as error:
        # With the port: a redirect may have led to another one than that of the source.
        raise EgressDeniedError(shown, error.address, error.what, port=error.port, tells_port=True) from None
    except (httpx.HTTPError, httpx.InvalidURL, DeadlineError) as error:
        raise _as_ours(error, shown, limits) from None


def check_status(answer: httpx.Response, shown: str) -> None:
    """Refuse what is no answer to the question."""
    if answer.status_code == httpx.codes.NOT_FOUND:
        raise SourceNotFoundError(f"source not found: {shown}")
    if answer.status_code != httpx.codes.OK:
        raise SourceUnreachableError(f"{shown}: the server answered {_status(answer.status_code)}")


def _as_ours(error: Exception, shown: str, limits: FetchLimits) -> Exception:
    match error:
        case httpx.InvalidURL():
            return BadUrlError(f"{shown}: it, or an address that the server sends us to, is not a URL")
        case httpx.UnsupportedProtocol():
            return BadUrlError(f"{shown}: leads to an address that is not http or https: {error}")
        case httpx.LocalProtocolError():
            return BadUrlError(f"{shown}: the headers of the source do not make a valid request")
    return SourceUnreachableError(f"{shown}: {_reason(error, limits)}")


def _reason(error: Exception, limits: FetchLimits) -> str:
    match error:
        case DeadlineError():
            return f"not fetched within {limits.total_seconds:g} seconds (setting ingest.fetch_deadline_seconds)"
        case httpx.TooManyRedirects():
            return f"more than {limits.max_redirects} redirects (setting ingest.max_redirects)"
        case httpx.TimeoutException():
            what = "connection" if isinstance(error, httpx.ConnectTimeout) else "data"
            return f"no {what} for {limits.silence_seconds:g} seconds (setting ingest.fetch_timeout_seconds)"
        case httpx.RemoteProtocolError():
            detail = f": {error}" if str(error).startswith(_HARMLESS) else ""
            return f"the answer is truncated or broken{detail}"
        case _:
            return f"the source is unreachable: {error}"


def _status(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)
