"""What merge strategies look at in previous data."""

from typing import assert_never

from kamu_assets.coordinator.ingest.errors import UnsupportedMergeError
from kamu_assets.odf.source import (
    MergeStrategy,
    MergeStrategyAppend,
    MergeStrategyChangelogStream,
    MergeStrategyLedger,
    MergeStrategySnapshot,
    MergeStrategyUpsertStream,
)


def key_columns(strategy: MergeStrategy) -> tuple[str, ...]:
    """Columns of previous data that the strategy looks at; refuses strategies that are not there yet."""
    match strategy:
        case MergeStrategyAppend():
            return ()
        case MergeStrategyLedger():
            return strategy.primary_key
        case MergeStrategySnapshot() | MergeStrategyChangelogStream() | MergeStrategyUpsertStream():
            raise UnsupportedMergeError(f"the merge strategy {strategy.kind} is not supported yet")
        case _:
            assert_never(strategy)
