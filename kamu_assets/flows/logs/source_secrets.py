"""Secrets that manifests have in clear, for want of better knowledge of whoever wrote them."""

from collections.abc import Iterator
from itertools import islice
from typing import Final, assert_never
from urllib.parse import urlsplit

from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.monitoring.secrets import is_secret_name, secrets_in_url
from kamu_assets.odf.dataset import SetPollingSource
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.serde.flatbuffers import EventKind
from kamu_assets.odf.source import (
    FetchStep,
    FetchStepContainer,
    FetchStepEthereumLogs,
    FetchStepFilesGlob,
    FetchStepMqtt,
    FetchStepUrl,
)

# Sources that a dataset had: what its flows said then is read now.
_SOURCES: Final = 20
# Those who sell access to chains put their keys into paths.
_KEY_LENGTH: Final = 20


def secrets_of_sources(chains: Chains, dataset: DatasetID) -> Iterator[str]:
    """What nobody should read of the polling sources that a dataset has and had last."""
    for found in islice(chains.blocks(dataset, kinds={EventKind.SET_POLLING_SOURCE}), _SOURCES):
        if isinstance(found.block.event, SetPollingSource):
            yield from secrets_of_fetch(found.block.event.fetch)


def secrets_of_fetch(fetch: FetchStep) -> Iterator[str]:
    """Passwords, tokens and keys."""
    match fetch:
        case FetchStepUrl():
            yield from secrets_in_url(fetch.url)
            yield from (
                part for each in fetch.headers or () if is_secret_name(each.name) for part in _parts(each.value)
            )
        case FetchStepContainer():
            yield from (each.value or "" for each in fetch.env or () if is_secret_name(each.name))
        case FetchStepMqtt():
            yield fetch.password or ""
        case FetchStepEthereumLogs():
            url = fetch.node_url or ""
            yield from secrets_in_url(url)
            yield from (part for part in urlsplit(url).path.split("/") if len(part) >= _KEY_LENGTH)
        case FetchStepFilesGlob():
            return
        case _:
            assert_never(fetch)


def _parts(header: str) -> Iterator[str]:
    """All of it, and what follows the name of its scheme."""
    yield from (header, header.rpartition(" ")[2])
