"""When one block may follow another (ODF: Metadata Chain).

Rules run in the order in which kamu finds them broken, because that decides which error is reported: first what
the block says by itself, then what contradicts the blocks before it, last what the whole history decides.
"""

from collections.abc import Callable

from kamu_assets.odf import data_rules, definition_rules, input_rules
from kamu_assets.odf.chain_errors import (
    AppendingSeedBlockToNonEmptyChainError,
    FirstBlockMustBeSeedError,
    HashMismatchError,
    PrevBlockNotFoundError,
    SequenceIntegrityError,
    SystemTimeIsNotMonotonicError,
    UnimplementedEventError,
)
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import DisablePollingSource, DisablePushSource, MetadataBlock, Seed
from kamu_assets.odf.multihash import Multihash

Rule = Callable[[ChainState, MetadataBlock], None]


def check_append(state: ChainState, block: MetadataBlock) -> None:
    """Raise unless `block` may follow the chain."""
    for rule in (*_BY_ITSELF, *_AGAINST_PREVIOUS, *_AGAINST_HISTORY):
        rule(state, block)


def check_hash(actual: Multihash, *, expected: Multihash | None) -> None:
    """Raise when a block is not the one that was asked for."""
    if expected is not None and actual != expected:
        raise HashMismatchError(expected=expected, actual=actual)


def _seed_comes_first(_: ChainState, block: MetadataBlock) -> None:
    if block.prev_block_hash is None:
        if not isinstance(block.event, Seed):
            raise FirstBlockMustBeSeedError
        if block.sequence_number != 0:
            raise SequenceIntegrityError(expected=0, given=block.sequence_number)
    elif isinstance(block.event, Seed):
        raise AppendingSeedBlockToNonEmptyChainError


def _follows_head(state: ChainState, block: MetadataBlock) -> None:
    if block.prev_block_hash == state.head:
        return
    if isinstance(block.event, Seed):
        raise AppendingSeedBlockToNonEmptyChainError
    raise PrevBlockNotFoundError(given=block.prev_block_hash, head=state.head)


def _sequence_continues(state: ChainState, block: MetadataBlock) -> None:
    expected = state.sequence_number + 1
    if block.sequence_number != expected:
        raise SequenceIntegrityError(expected=expected, given=block.sequence_number)


def _time_goes_on(state: ChainState, block: MetadataBlock) -> None:
    if state.system_time is not None and block.system_time < state.system_time:
        raise SystemTimeIsNotMonotonicError(previous=state.system_time, given=block.system_time)


def _is_implemented(_: ChainState, block: MetadataBlock) -> None:
    if isinstance(block.event, DisablePushSource | DisablePollingSource):
        raise UnimplementedEventError(f"{block.event.kind} is not implemented")


_BY_ITSELF: tuple[Rule, ...] = (
    data_rules.says_something,
    _is_implemented,
    _seed_comes_first,
    data_rules.offsets_continue,
    definition_rules.source_is_sound,
    definition_rules.transform_is_sound,
    definition_rules.schema_has_one_form,
)
_AGAINST_PREVIOUS: tuple[Rule, ...] = (
    _follows_head,
    _sequence_continues,
    _time_goes_on,
    data_rules.watermark_grows,
    data_rules.previous_offset_is_carried,
    definition_rules.sources_do_not_mix,
)
_AGAINST_HISTORY: tuple[Rule, ...] = (
    data_rules.data_has_schema,
    data_rules.checkpoint_is_carried,
    data_rules.adding_changes_something,
    input_rules.inputs_are_those_of_the_transform,
    input_rules.inputs_continue,
    input_rules.transforming_changes_something,
    definition_rules.schema_evolves,
    # No rule of kamu, hence after all of its rules.
    data_rules.is_of_its_kind,
)
