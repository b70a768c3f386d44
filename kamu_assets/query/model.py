"""What can be asked, and what comes back."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from kamu_assets.errors import InvalidError
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.multihash import Multihash


class UnknownFormatError(InvalidError):
    """Not one of the spellings of a data format."""

    def __init__(self, text: str) -> None:
        spellings = ", ".join(f"`{spelling}`" for form in DataFormat for spelling in form.spellings)
        super().__init__(f"unknown variant `{text}`, expected one of {spellings}")
        self.text = text


class DataFormat(StrEnum):
    """Arrays of structs, struct of arrays, or arrays of arrays."""

    JSON_AOS = "JsonAoS"
    JSON_SOA = "JsonSoA"
    JSON_AOA = "JsonAoA"

    @property
    def spellings(self) -> tuple[str, ...]:
        shape = self.value.removeprefix("Json")
        return (self.value, f"Json{shape.capitalize()}", f"json-{shape.lower()}", f"json{shape.lower()}")

    @classmethod
    def parse(cls, text: str) -> Self:
        for form in cls:
            if text in form.spellings:
                return form
        raise UnknownFormatError(text)


@dataclass(frozen=True)
class DatasetPin:
    """In the SQL this name, letter by letter, means this dataset as of a block, or as of its head."""

    id: DatasetID
    alias: str
    block_hash: Multihash | None = None


@dataclass(frozen=True)
class QueryRequest:
    """SQL in the DataFusion dialect. Without a limit the service's default holds.

    `datasets` pins names; all others mean what they mean now. A name with several pins of one dataset means the
    latest of their blocks: so what an answer tells of the datasets it read pins the same query again.
    """

    sql: str
    skip: int = 0
    limit: int | None = None
    data_format: DataFormat = DataFormat.JSON_AOS
    sort_keys: bool = True
    # NaN and infinities as such, which are no JSON, rather than as null: for readers of `QueryResponse.rows` only.
    keeps_nan: bool = False
    datasets: tuple[DatasetPin, ...] = ()
    # The same rows in the same order whenever it is asked again, on one core.
    is_repeatable: bool = False


@dataclass(frozen=True)
class PinnedDataset:
    """A dataset that a query read, under the name the query uses, as of a block."""

    id: DatasetID
    alias: str
    block_hash: Multihash


@dataclass(frozen=True)
class QueryResponse:
    """`data` is JSON text, ready to be sent; `schema` the Arrow schema as IPC bytes, `columns` the names in it."""

    data: bytes
    data_format: DataFormat
    schema: bytes
    columns: tuple[str, ...]
    num_records: int
    limit: int
    datasets: tuple[PinnedDataset, ...]

    def rows(self) -> Any:
        """The data as Python values."""
        return json.loads(self.data)
