"""What inputs have that their derivative has not read yet."""

from collections.abc import Mapping

from kamu_assets.datasets.chains import Chains
from kamu_assets.odf.identity import DatasetID


class Backlog:
    """Compares chains, for whenever nobody was listening."""

    def __init__(self, chains: Chains) -> None:
        self._chains = chains

    def of(self, dataset: DatasetID) -> Mapping[DatasetID, int]:
        """Records by input, of those inputs that have some."""
        state = self._chains.state(dataset)
        if state.transform is None:
            return {}
        last = state.last_transform
        read = {each.dataset_id: each.last_offset for each in last.query_inputs} if last else {}
        found = {}
        for each in state.transform.inputs:
            input_ = DatasetID.parse(each.dataset_ref)
            there = self._chains.state(input_).next_offset
            before = read.get(input_)
            found[input_] = there - (0 if before is None else before + 1)
        return {input_: records for input_, records in found.items() if records > 0}
