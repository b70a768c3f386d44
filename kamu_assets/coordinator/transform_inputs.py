"""The inputs of a derivative: found, planned, and described to an engine."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kamu_assets.coordinator.errors import InvalidInputIntervalError
from kamu_assets.coordinator.ingest.slice_events import schema_of
from kamu_assets.coordinator.schema_message import schema_message
from kamu_assets.coordinator.transform_plan import InputChain, InputPlan, check_same_inputs, plan_inputs
from kamu_assets.database.transaction import Transaction
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.chains.intervals import ChainInterval
from kamu_assets.datasets.damaged_slices import StoredSlice
from kamu_assets.datasets.errors import DatasetNotFoundError, InvalidBlockIntervalError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.store import DatasetStore
from kamu_assets.engines.engine import TransformRequestInput, Watermark
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import DataSchema
from kamu_assets.odf.dataset import SetTransform
from kamu_assets.odf.engine import TransformInput
from kamu_assets.odf.identity import DatasetAlias, DatasetID, parse_dataset_ref
from kamu_assets.odf.multihash import Multihash
from kamu_assets.storage.layout import block_key, data_key
from kamu_assets.storage.volumes import Volumes


@dataclass(frozen=True, slots=True)
class InputDataset:
    """An input as it is now."""

    entry: DatasetEntry
    alias: str
    state: ChainState
    schema: DataSchema


@dataclass(frozen=True, slots=True)
class PlannedInput:
    """An input and what of it is new."""

    dataset: InputDataset
    plan: InputPlan


@dataclass(frozen=True, slots=True)
class InputsWithoutSchema:
    """Inputs that nothing was ever pulled into."""

    aliases: tuple[DatasetAlias, ...]


class TransformInputs:
    """Looks at the inputs of derivatives."""

    def __init__(self, *, chains: Chains, volumes: Volumes) -> None:
        self._chains = chains
        self._volumes = volumes
        self._entries = DatasetStore()

    def plan(
        self, tx: Transaction, chain: ChainState, transform: SetTransform
    ) -> Sequence[PlannedInput] | InputsWithoutSchema:
        """What the next step reads, if every input has a schema."""
        found: list[InputDataset] = []
        empty: list[DatasetAlias] = []
        entries = [self._entry(tx, wanted) for wanted in transform.inputs]
        check_same_inputs([entry.id for entry in entries], chain.last_transform)
        for wanted, entry in zip(transform.inputs, entries, strict=True):
            state = self._chains.state(entry.id, tx=tx)
            schema = schema_of(state)
            if schema is None:
                empty.append(entry.alias)
                continue
            found.append(InputDataset(entry, wanted.alias or str(entry.alias.name), state, schema))
        if empty:
            return InputsWithoutSchema(tuple(empty))
        plans = plan_inputs([self._chain(tx, one) for one in found], chain.last_transform)
        return [PlannedInput(one, plan) for one, plan in zip(found, plans, strict=True)]

    def slices(self, planned: PlannedInput) -> Iterator[StoredSlice]:
        """What is read of it."""
        entry = planned.dataset.entry
        store = self._volumes.for_kind(entry.kind)
        for each in planned.plan.slices:
            location = store.location(data_key(entry.id, each.physical_hash))
            block = store.location(block_key(entry.id, each.block_hash))
            yield StoredSlice(entry.alias, each.physical_hash, location, block)

    def describe(self, planned: PlannedInput) -> TransformRequestInput:
        """The same for an engine."""
        one, plan = planned.dataset, planned.plan
        return TransformRequestInput(
            dataset_id=one.entry.id,
            dataset_alias=one.entry.alias,
            query_alias=one.alias,
            vocab=one.state.vocab,
            offset_interval=plan.offset_interval,
            data_paths=tuple(found.location for found in self.slices(planned)),
            schema=schema_message(one.schema),
            explicit_watermarks=tuple(Watermark(mark.system_time, mark.watermark) for mark in plan.watermarks),
        )

    def _entry(self, tx: Transaction, wanted: TransformInput) -> DatasetEntry:
        ref = parse_dataset_ref(wanted.dataset_ref)
        if isinstance(ref, DatasetID):
            return self._entries.get(tx, ref)
        found = self._entries.find_alias(tx, ref.account, ref.name) if ref.account else None
        if found is None:
            raise DatasetNotFoundError(ref)
        return found

    def _chain(self, tx: Transaction, one: InputDataset) -> InputChain:
        head = one.state.head
        if head is None:
            raise DatasetNotFoundError(one.entry.id)

        def news_after(block: Multihash | None) -> ChainInterval:
            try:
                return self._chains.interval(one.entry.id, after=block, until=head, tx=tx)
            except InvalidBlockIntervalError as error:
                raise InvalidInputIntervalError(one.entry.id, head, block) from error

        return InputChain(one.entry.id, head, one.state.last_offset, news_after)
