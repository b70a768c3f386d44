"""What merge strategies need of previous data and of inputs, known from the strategy alone."""

from typing import assert_never

from kamu_assets.coordinator.ingest.sidecars.use import Contents
from kamu_assets.odf.source import (
    MergeStrategy,
    MergeStrategyAppend,
    MergeStrategyChangelogStream,
    MergeStrategyLedger,
    MergeStrategySnapshot,
    MergeStrategyUpsertStream,
)


def key_columns(strategy: MergeStrategy) -> tuple[str, ...]:
    """The primary key; none for a strategy without one."""
    return () if isinstance(strategy, MergeStrategyAppend) else tuple(dict.fromkeys(strategy.primary_key))


def looks_back(strategy: MergeStrategy) -> Contents | None:
    """What the strategy must know of previous data."""
    match strategy:
        case MergeStrategyAppend() | MergeStrategyChangelogStream():
            return None
        case MergeStrategyLedger():
            return Contents.KEYS
        case MergeStrategySnapshot() | MergeStrategyUpsertStream():
            return Contents.STATE
        case _:
            assert_never(strategy)


def only_adds(strategy: MergeStrategy) -> bool:
    """Whether rows are added in the order of event time: then several inputs may share a block."""
    return isinstance(strategy, MergeStrategyAppend | MergeStrategyLedger)


def takes_operations(strategy: MergeStrategy) -> bool:
    """Whether input may bring operations."""
    return isinstance(strategy, MergeStrategyChangelogStream | MergeStrategyUpsertStream)
