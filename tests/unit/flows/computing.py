"""What runs would do to chains, done at once: derivatives computed on, chains reset, emptied."""

from __future__ import annotations

from dataclasses import dataclass

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.chain_making import ChainMaking
from kamu_assets.coordinator.metadata_only import MetadataOnly
from kamu_assets.coordinator.resetting import ResetOptions, Resets
from kamu_assets.coordinator.results import NothingToDo, ReorganizationResult
from kamu_assets.datasets.chains.past import PastStates
from kamu_assets.datasets.commit.rewriting import Rewriting
from kamu_assets.datasets.errors import DatasetNotFoundError, InvalidBlockIntervalError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.model import Flow, FlowOutcome, FlowType, OutcomeKind
from kamu_assets.odf.dataset import ExecuteTransform, ExecuteTransformInput
from kamu_assets.odf.identity import DatasetID, DatasetRef
from kamu_assets.odf.multihash import Multihash
from tests.support.builders import a_schema
from tests.support.heart import ADMIN, Heart

DONE = FlowOutcome(OutcomeKind.SUCCESS)
NOTHING_NEW = FlowOutcome(OutcomeKind.UP_TO_DATE)


@dataclass
class Computing:
    """Changes the chains of a heart."""

    heart: Heart

    def run(self, flow: Flow) -> FlowOutcome:
        """What comes of a flow that nothing disturbs."""
        try:
            return self._run(flow)
        except DatasetNotFoundError as error:
            # Deleted while it ran.
            return FlowOutcome(OutcomeKind.FAILED, str(error))

    def _run(self, flow: Flow) -> FlowOutcome:
        assert flow.dataset_id is not None
        match flow.type:
            case FlowType.EXECUTE_TRANSFORM:
                return self.compute(flow.dataset_id, flow.run_id)
            case FlowType.RESET_TO_METADATA:
                return _told(self.empty(flow.dataset_id, flow.run_id))
            case _:
                self.heart.add_data(flow.dataset_id)
                return DONE

    def compute(self, dataset: DatasetID, run_id: str | None = None) -> FlowOutcome:
        """Read what is new in the inputs; rows come of it, whatever it is."""
        state = self.heart.chains.state(dataset)
        assert state.transform is not None
        last = state.last_transform
        before = {each.dataset_id: each for each in last.query_inputs} if last else {}
        inputs = [DatasetID.parse(each.dataset_ref) for each in state.transform.inputs]
        for input_ in inputs:
            if not self._holds(input_, before.get(input_)):
                return FlowOutcome(OutcomeKind.FAILED, "rewritten", recoverable=False, rewritten_input=input_)
        read = tuple(self._read(input_, before.get(input_)) for input_ in inputs)
        if all(each.new_offset is None for each in read):
            return NOTHING_NEW
        now = max(self.heart.clock.advance(1), state.system_time or self.heart.clock.now())
        rows = self.heart.a_slice(start=state.next_offset)
        event = ExecuteTransform(query_inputs=read, prev_offset=state.last_offset, new_data=rows.data_slice)
        events = (event,) if state.schema else (a_schema(), event)
        self.heart.committer.commit(
            dataset, expected_head=state.head, events=events, files=[rows], system_time=now, run_id=run_id
        )
        return DONE

    def check_reset(self, caller: Caller, dataset: DatasetRef, new_head: Multihash | None) -> None:
        """Nobody asks for resets that cannot be."""

    def reset(self, dataset: DatasetEntry, new_head: Multihash) -> None:
        resets = Resets(
            self.heart.datasets,
            self.heart.chains,
            PastStates(database=self.heart.database, volumes=self.heart.volumes, cached_states=1),
            self._rewriting(),
            self.heart.clock,
        )
        resets.reset(ADMIN, dataset.id, ResetOptions(new_head=new_head))

    def empty(self, dataset: DatasetID, run_id: str | None = None) -> ReorganizationResult:
        """Drop all rows."""
        making = ChainMaking(self.heart.database, self.heart.chains, self._rewriting(), self.heart.clock)
        return MetadataOnly(self.heart.datasets, self.heart.chains, making).reset(ADMIN, dataset, run_id=run_id)

    def _rewriting(self) -> Rewriting:
        heart = self.heart
        return Rewriting(database=heart.database, chains=heart.chains, committer=heart.committer, outbox=heart.outbox)

    def _holds(self, input_: DatasetID, before: ExecuteTransformInput | None) -> bool:
        """Whether what was read of an input is still its past."""
        head = self.heart.chains.head(input_)
        if before is None or before.last_block_hash == head:
            return True
        try:
            self.heart.chains.interval(input_, after=before.last_block_hash, until=head)
        except InvalidBlockIntervalError:
            return False
        return True

    def _read(self, input_: DatasetID, before: ExecuteTransformInput | None) -> ExecuteTransformInput:
        there = self.heart.chains.state(input_)
        block, offset = (before.last_block_hash, before.last_offset) if before else (None, None)
        return ExecuteTransformInput(
            dataset_id=input_,
            prev_block_hash=block,
            new_block_hash=there.head if there.head != block else None,
            prev_offset=offset,
            new_offset=there.last_offset if there.last_offset != offset else None,
        )


def _told(result: ReorganizationResult) -> FlowOutcome:
    return NOTHING_NEW if isinstance(result, NothingToDo) else DONE
