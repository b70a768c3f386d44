"""How transforms fail."""

import re
from typing import ClassVar, Final

from kamu_assets.errors import InvalidError, UnavailableError
from kamu_assets.odf.identity import DatasetAlias, DatasetID
from kamu_assets.odf.multihash import Multihash

_INPUT_DATASET: Final = re.compile(r"in input dataset '(did:odf:[0-9a-z]+)'")


class TransformError(InvalidError):
    """A derivative dataset cannot be computed."""

    kind: ClassVar[str] = "transform"


class TransformNotDefinedError(TransformError):
    """A derivative without SetTransform cannot be computed."""

    kind = "transform-not-defined"


class InputsChangedError(TransformError):
    """The inputs are not those that the data so far was computed from."""

    kind = "invalid-transform"


class InvalidInputIntervalError(TransformError):
    """An input no longer holds the block up to which it was read: it was reset, compacted or replaced."""

    kind = "invalid-input-interval"

    def __init__(self, dataset: DatasetID, head: Multihash, tail: Multihash | None) -> None:
        super().__init__(f"Invalid block interval [{head}, {tail}) in input dataset '{dataset}'")
        self.dataset = dataset
        self.head = head
        self.tail = tail

    @staticmethod
    def dataset_in(message: str) -> DatasetID | None:
        """The input that such a message names: of errors in other processes there is no more than that."""
        found = _INPUT_DATASET.search(message)
        return DatasetID.parse(found.group(1)) if found else None


class InvalidTransformQueryError(TransformError):
    """The engine cannot plan the query: its author has to change it."""

    kind = "bad-sql"


class TransformFailedError(TransformError):
    """The query failed on this data."""

    kind = "sql-runtime"


class WatermarkOnDerivativeError(InvalidError):
    """Watermarks of derivative datasets come from their inputs."""

    kind: ClassVar[str] = "watermark-on-derivative"


class CompactionOfDerivativeError(InvalidError):
    """Slices of derivatives are what their transforms made of their inputs: in others they could not be verified."""

    kind: ClassVar[str] = "incompatible-dataset-kind"

    def __init__(self, alias: DatasetAlias) -> None:
        super().__init__(f"{alias} is a derivative dataset: reset it to compute it anew, only roots are compacted")
        self.alias = alias


class CompactionCancelledError(UnavailableError):
    """Whoever asked no longer wants it; the dataset is as it was."""

    def __init__(self) -> None:
        super().__init__("the compaction was cancelled")
