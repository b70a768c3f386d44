"""Which engine the runs of a dataset need."""

from kamu_assets.odf.chain_state import ChainState


def engine_in(state: ChainState) -> str | None:
    """The one that computes a derivative, or that preprocesses what a root polls; None where none is named."""
    if state.transform is not None:
        return state.transform.transform.engine
    preprocess = state.polling_source.preprocess if state.polling_source else None
    return preprocess.engine if preprocess else None
