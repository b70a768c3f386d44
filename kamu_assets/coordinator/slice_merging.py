"""Puts slices that follow each other together, in a worker process: every row is read, hashed and written once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kamu_assets.engines.slices.facts import Encodings
from kamu_assets.engines.workers.process import report
from kamu_assets.errors import InvalidError
from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.odf.dataset import DataSlice

if TYPE_CHECKING:
    import pyarrow as pa

    from kamu_assets.engines.slices.facts import SliceStats


class ChangedSliceError(InvalidError):
    """A slice does not hold the rows that its block promises: put together with others, nobody could tell any more."""

    def __init__(self, said: DataSlice, reason: str) -> None:
        super().__init__(f"data slice {said.physical_hash} {reason}: `kamu-node verify` tells more")


@dataclass(frozen=True)
class SliceToMerge:
    """A stored slice, and what its block says of it."""

    location: str
    said: DataSlice


@dataclass(frozen=True)
class MergeRequest:
    """Slices in the order of their offsets, and where all their rows go."""

    slices: tuple[SliceToMerge, ...]
    vocab: DatasetVocabulary
    target: Path
    encodings: Encodings


def merge_slices(request: MergeRequest) -> "SliceStats":
    """Write one slice with the rows of all, a batch at a time; ChangedSliceError."""
    from kamu_assets.engines.slices.writer import SliceWriter

    schema = _common_schema(request.slices)
    with SliceWriter(request.target, schema, vocab=request.vocab, encodings=request.encodings) as writer:
        written = 0
        for one in request.slices:
            for batch in _checked(one, request.vocab):
                writer.write(batch)
                written += batch.num_rows
                report(written)
        return writer.finish()


def _common_schema(slices: tuple[SliceToMerge, ...]) -> "pa.Schema":
    """The columns of the first slice; values may be missing where they may be in any of them."""
    import pyarrow as pa

    schemas = [_schema(one) for one in slices]
    for one, schema in zip(slices, schemas, strict=True):
        if schema.names != schemas[0].names:
            raise ChangedSliceError(one.said, f"has the columns {schema.names}, one before it {schemas[0].names}")
    nullable = [any(schema.field(index).nullable for schema in schemas) for index in range(len(schemas[0]))]
    fields = [field.with_nullable(may) for field, may in zip(schemas[0], nullable, strict=True)]
    return pa.schema(fields, metadata=schemas[0].metadata)


def _schema(one: SliceToMerge) -> "pa.Schema":
    from kamu_assets.coordinator.verify.slice_schema import embedded_schema

    with _opened(one) as file:
        return embedded_schema(file)


def _checked(one: SliceToMerge, vocab: DatasetVocabulary) -> "Iterator[pa.RecordBatch]":
    """The rows, which are the promised ones once all of them have been read."""
    from kamu_assets.odf.data_hash import LogicalHasher

    said = one.said
    hasher, offset = LogicalHasher(_schema(one)), said.offset_interval.start
    for batch in _batches(one):
        hasher.update(batch)
        if batch.num_rows and batch.column(vocab.offset_column)[0].as_py() != offset:
            raise ChangedSliceError(said, f"does not go on with offset {offset}")
        offset += batch.num_rows
        yield batch
    if hasher.digest() != said.logical_hash or offset != said.offset_interval.end + 1:
        raise ChangedSliceError(said, "does not hold the rows of which its block tells the hash")


def _batches(one: SliceToMerge) -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    from kamu_assets.coordinator.verify.slice_reading import batch_rows
    from kamu_assets.coordinator.verify.slice_schema import embedded_schema
    from kamu_assets.odf.arrow_schema import restore_arrow_types

    with _opened(one) as file:
        schema = embedded_schema(file)
        batches = file.iter_batches(batch_rows(file.metadata))
        while True:
            try:
                batch = restore_arrow_types(next(batches), schema)
            except StopIteration:
                return
            except (OSError, pa.ArrowException) as error:
                raise ChangedSliceError(one.said, f"cannot be read ({error})") from error
            yield batch


def _opened(one: SliceToMerge) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(one.location)
    except (OSError, pa.ArrowException) as error:
        raise ChangedSliceError(one.said, f"cannot be read ({error})") from error
