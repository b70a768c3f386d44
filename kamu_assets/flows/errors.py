"""What is wrong with what somebody asked of flows: one class per kind, as the contract has them."""

from kamu_assets.errors import InvalidError
from kamu_assets.odf.identity import DatasetAlias, DatasetKind


class InvalidTriggerError(InvalidError):
    """The rule names no times, or no batches."""


class InvalidStopPolicyError(InvalidError):
    """No number of failures after which a trigger may be stopped."""


class InvalidFlowConfigError(InvalidError):
    """Flows cannot be done like this."""


class FlowTypeNotSupportedError(InvalidError):
    """Flows of this type are not started like this."""


class IncompatibleDatasetKindError(InvalidError):
    """This is done to roots only, or to derivatives only."""

    def __init__(self, what: str, *, expected: DatasetKind, actual: DatasetKind) -> None:
        super().__init__(f"{what}: that is done to {expected.value} datasets only, not to {actual.value} ones")
        self.expected = expected
        self.actual = actual


class SourceLostError(InvalidError):
    """A rule, or somebody, has a dataset polled that was reset to before its source was set, or whose source is off."""

    def __init__(self) -> None:
        super().__init__("it has no SetPollingSource any more: there is nothing to poll")


class FlowPreconditionsNotMetError(InvalidError):
    """The dataset does not have what such a flow works on."""

    def __init__(self, dataset: DatasetAlias, *, lacking: str, so: str) -> None:
        super().__init__(f"{dataset} has no {lacking}: {so}")
        self.lacking = lacking
