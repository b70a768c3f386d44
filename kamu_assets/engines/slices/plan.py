"""What is the same for every slice of one schema: small slices would spend most of their time on finding it out."""

from dataclasses import dataclass, field
from functools import lru_cache

import pyarrow as pa

from kamu_assets.engines.slices.facts import Encodings
from kamu_assets.engines.slices.file import FileFormat
from kamu_assets.engines.slices.storable import has_structs, storable_schema
from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.odf.data_hash import LogicalHasher

_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class SlicePlan:
    """How to write and hash rows."""

    schema: pa.Schema
    file_format: FileFormat
    has_structs: bool
    # Never fed: hashers of slices start as its copies.
    hasher: LogicalHasher


@dataclass(frozen=True, slots=True)
class _Key:
    """A schema with all of its metadata, which equality of schemas leaves out in part."""

    serialized: bytes
    schema: pa.Schema = field(compare=False)


def plan_slice(schema: pa.Schema, vocab: DatasetVocabulary, encodings: Encodings) -> SlicePlan:
    """The plan for rows of these types."""
    return _plan(_Key(schema.serialize().to_pybytes(), schema), vocab, encodings)


@lru_cache(_REMEMBERED)
def _plan(key: _Key, vocab: DatasetVocabulary, encodings: Encodings) -> SlicePlan:
    schema = storable_schema(key.schema)
    return SlicePlan(schema, FileFormat.of(schema, vocab, encodings), has_structs(schema), LogicalHasher(schema))
