"""Where a dataset's rows come from, in a few words: without passwords, since everybody may see them who sees the UI."""

from typing import assert_never

from kamu_assets.monitoring.secrets import SecretHider, secrets_in_url, without_secrets
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.source import (
    FetchStep,
    FetchStepContainer,
    FetchStepEthereumLogs,
    FetchStepFilesGlob,
    FetchStepMqtt,
    FetchStepUrl,
)

_LONGEST = 200


def source_text(state: ChainState) -> str | None:
    """What follows the name of the dataset in a sentence; None where it has no source."""
    if state.polling_source is not None:
        return f"polls {_place(state.polling_source.fetch)[:_LONGEST]}"
    return "takes pushes" if state.push_sources else None


def _place(fetch: FetchStep) -> str:
    match fetch:
        case FetchStepUrl(url=url):
            return without_secrets(SecretHider(secrets_in_url(url)).hide(url))
        case FetchStepFilesGlob(path=path):
            return path
        case FetchStepContainer(image=image):
            return f"the container {image}"
        case FetchStepMqtt(host=host, port=port):
            return f"MQTT at {host}:{port}"
        case FetchStepEthereumLogs():
            return "logs of Ethereum"
        case _:
            assert_never(fetch)
