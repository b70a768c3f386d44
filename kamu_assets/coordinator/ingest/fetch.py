"""Fetch steps: what a polling source has to offer since the last time (ODF: FetchStep)."""

from kamu_assets.coordinator.ingest.errors import BadUrlError, UnsupportedSchemeError, UnsupportedStepError
from kamu_assets.coordinator.ingest.fetch_files import fetch_file, fetch_next_file
from kamu_assets.coordinator.ingest.fetching import Fetched, FetchRequest
from kamu_assets.coordinator.ingest.templates import fill_templates
from kamu_assets.odf.source import FetchStep, FetchStepFilesGlob, FetchStepUrl, PrepStep


def fetch(step: FetchStep, request: FetchRequest) -> Fetched | None:
    """The next file of the source, or None when nothing is new."""
    match step:
        case FetchStepUrl():
            return _fetch_url(step, fill_templates(step.url, request.variables), request)
        case FetchStepFilesGlob():
            return fetch_next_file(step, fill_templates(step.path, request.variables), request)
        case _:
            raise UnsupportedStepError(f"the fetch step {step.kind} is not supported yet")


def check_prepare(steps: tuple[PrepStep, ...] | None) -> None:
    """Refuse steps between fetching and reading."""
    for step in steps or ():
        raise UnsupportedStepError(f"the prepare step {step.kind} is not supported yet")


def _fetch_url(step: FetchStepUrl, url: str, request: FetchRequest) -> Fetched | None:
    scheme, colon, _ = url.partition(":")
    match scheme.lower():
        case "file":
            return fetch_file(step, url, request)
        case "http" | "https":
            from kamu_assets.coordinator.ingest.fetch_http import fetch_http

            return fetch_http(step, url, request)
        case _ if not colon:
            raise BadUrlError(f"{url!r} is not a URL")
        case _:
            raise UnsupportedSchemeError(f"cannot fetch {scheme}: URLs; supported are file, http and https")
