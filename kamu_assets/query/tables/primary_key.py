"""What tells the rows of a dataset apart (ODF: Merge Strategies)."""

from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.source import MergeStrategy, MergeStrategyAppend


def primary_keys(state: ChainState) -> tuple[tuple[str, ...], ...]:
    """The different keys that the sources of a dataset name; usually one, or none."""
    sources = [state.polling_source, *state.push_sources.values()]
    keys = [_key_of(source.merge) for source in sources if source is not None]
    return tuple(dict.fromkeys(key for key in keys if key))


def _key_of(merge: MergeStrategy) -> tuple[str, ...]:
    return () if isinstance(merge, MergeStrategyAppend) else tuple(merge.primary_key)
