"""Whether a dataset has what flows of a type work on."""

from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.flows.errors import FlowPreconditionsNotMetError, IncompatibleDatasetKindError
from kamu_assets.flows.model import FlowType
from kamu_assets.odf.identity import DatasetKind


class Preconditions:
    """Asked before something is set, so that nobody waits for what can only fail."""

    def __init__(self, chains: Chains) -> None:
        self._chains = chains

    def check(self, entry: DatasetEntry, type_: FlowType) -> None:
        """IncompatibleDatasetKindError, FlowPreconditionsNotMetError."""
        check_dataset_kind(entry, type_)
        chain = self._chains.state(entry.id)
        match type_:
            case FlowType.INGEST if chain.polling_source is None:
                raise FlowPreconditionsNotMetError(
                    entry.alias, lacking="SetPollingSource", so="there is nothing to poll"
                )
            case FlowType.EXECUTE_TRANSFORM if chain.transform is None:
                raise FlowPreconditionsNotMetError(
                    entry.alias, lacking="SetTransform", so="there is nothing to compute"
                )


def check_dataset_kind(entry: DatasetEntry, type_: FlowType) -> None:
    """Raise `IncompatibleDatasetKindError` unless this may be done to such a dataset."""
    if entry.kind not in type_.kinds:
        (expected,) = set(DatasetKind) - {entry.kind}
        raise IncompatibleDatasetKindError(f"{type_.words} of {entry.alias}", expected=expected, actual=entry.kind)
