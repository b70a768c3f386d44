"""Fetch steps: what a polling source has to offer since the last time (ODF: FetchStep)."""

from kamu_assets.coordinator.ingest.errors import BadUrlError, UnsupportedSchemeError, UnsupportedStepError
from kamu_assets.coordinator.ingest.fetch.addresses import public_url
from kamu_assets.coordinator.ingest.fetch.files import fetch_file, fetch_next_file
from kamu_assets.coordinator.ingest.fetch.model import Fetched, FetchRequest
from kamu_assets.coordinator.ingest.fetch.templates import Filled, fill_templates
from kamu_assets.odf.source import (
    FetchStep,
    FetchStepContainer,
    FetchStepEthereumLogs,
    FetchStepFilesGlob,
    FetchStepMqtt,
    FetchStepUrl,
)


def fetch(step: FetchStep, request: FetchRequest) -> Fetched | None:
    """The next file of the source, or None when nothing is new."""
    match step:
        case FetchStepUrl():
            return _fetch_url(step, fill_templates(step.url, request.variables), request)
        case FetchStepFilesGlob():
            return fetch_next_file(step, fill_templates(step.path, request.variables), request)
        case FetchStepContainer():
            raise UnsupportedStepError(
                "the fetch step Container is not supported: this node starts no containers; push instead"
            )
        case FetchStepMqtt():
            raise UnsupportedStepError(
                "the fetch step Mqtt is not supported: this node has no MQTT client; push instead"
            )
        case FetchStepEthereumLogs():
            raise UnsupportedStepError(
                "the fetch step EthereumLogs is not supported: this node has no client for blockchains; push instead"
            )


def _fetch_url(step: FetchStepUrl, url: Filled, request: FetchRequest) -> Fetched | None:
    scheme, colon, _ = url.value.partition(":")
    match scheme.lower():
        case "file":
            return fetch_file(step, url, request)
        case "http" | "https":
            from kamu_assets.coordinator.ingest.fetch.web import fetch_http

            return fetch_http(step, url, request)
        case "ftp":
            from kamu_assets.coordinator.ingest.fetch.ftp import fetch_ftp

            return fetch_ftp(step, url, request)
        case _ if not colon:
            raise BadUrlError(f"{public_url(url.shown)!r} is not a URL")
        case _:
            raise UnsupportedSchemeError(
                f"cannot fetch {public_url(url.shown)}: supported are file, ftp, http and https"
            )
