"""What queries are made of, and what comes of them: plain values that travel between processes.

Importing this module loads no engine: the node's own processes only ask.
"""

from dataclasses import dataclass

from kamu_assets.query.model import DataFormat
from kamu_assets.query.questions import FindTable, TableFound, TableSpec


@dataclass(frozen=True)
class AnswerShape:
    """Which rows of a result are wanted, and how."""

    skip: int
    limit: int
    data_format: DataFormat
    sort_keys: bool
    limit_bytes: int
    keeps_nan: bool = False


@dataclass(frozen=True)
class QueryJob:
    """With one partition, rows that no ORDER BY sorts come in the same order each time; by default, one per core."""

    sql: str
    shape: AnswerShape
    memory_bytes: int
    partitions: int | None = None
    # What it is likely to ask for.
    known: tuple[tuple[FindTable, TableFound], ...] = ()


@dataclass(frozen=True)
class TailJob:
    """Rows with offsets from `first` to `last`, in this order, of files that hold them."""

    table: TableSpec
    first: int
    last: int
    shape: AnswerShape
    memory_bytes: int


@dataclass(frozen=True)
class JobAnswer:
    data: bytes
    schema: bytes
    columns: tuple[str, ...]
    num_records: int
