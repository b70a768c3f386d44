"""Makes manifests to begin with for the command line."""

import contextlib
import re
import zlib
from collections.abc import Sequence
from pathlib import Path

from kamu_api.cli.datasets.skeleton_text import InputTable, derivative_text, push_text, root_text
from kamu_api.cli.targets import new_file
from kamu_assets.coordinator.ingest.errors import UnsupportedMediaTypeError
from kamu_assets.coordinator.ingest.push.media_types import is_packed, reader_of_file
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.errors import InvalidError
from kamu_assets.node import Node
from kamu_assets.odf.identity import DatasetAlias, parse_dataset_ref
from kamu_assets.odf.serde.yaml import parse_snapshots
from kamu_assets.odf.source import ReadStep, ReadStepCsv
from kamu_assets.storage.workplaces import workplace

_SEPARATORS = ",;\t|"
# A path has lost the second slash.
_ADDRESS = re.compile(r"(https?|ftps?|s3|file):/", re.IGNORECASE)
_SNIFFED_BYTES = 1 << 16
_EXAMPLE_INPUT = "name.of.an.input"


class SampleError(InvalidError):
    """The sample cannot be read, or nothing can be guessed of it."""


def pushed_root(name: str) -> str:
    """A manifest of a root without a sample."""
    return _checked(push_text(str(DatasetAlias.parse(name))))


def polled_root(node: Node, name: str, sample: Path) -> str:
    """A manifest of a root that polls a file like the sample."""
    alias = DatasetAlias.parse(name)
    if _ADDRESS.match(str(sample)) and not sample.exists():
        raise SampleError(
            "--from takes a file to look into, not an address: save what the address answers to a file, "
            "then set `url` of the manifest to the address"
        )
    path = sample.absolute()
    read = _reader(path)
    with workplace(node.settings.uploads_path, "sample") as scratch:
        guessed = node.coordinator.guess_source(path, read, scratch)
    return _checked(root_text(str(alias), path.as_uri(), guessed))


def derivative(node: Node, name: str, inputs: Sequence[str]) -> str:
    """A manifest of a derivative; what is known of its inputs is filled in."""
    alias = DatasetAlias.parse(name)
    return _checked(derivative_text(str(alias), [_input(node, text) for text in inputs or [_EXAMPLE_INPUT]]))


def save(text: str, target: Path, *, overwrite: bool) -> None:
    """Write the manifest, whole or not at all."""
    with new_file(target, overwrite=overwrite) as path:
        path.write_text(text, encoding="utf-8")


def _reader(sample: Path) -> ReadStep:
    if not sample.is_file():
        raise SampleError(f"{sample} is not a file")
    try:
        read = reader_of_file(sample.name)
    except UnsupportedMediaTypeError as error:
        raise SampleError(f"{error}; rename the sample, or write the manifest without it") from error
    if not isinstance(read, ReadStepCsv):
        return read
    separator = _separator(sample)
    return read.model_copy(update={"infer_schema": True, "separator": None if separator == "," else separator})


def _separator(sample: Path) -> str:
    """What parts the names in the first line."""
    first = _beginning(sample).partition(b"\n")[0].decode("utf-8-sig", errors="replace")
    return max(_SEPARATORS, key=first.count)


def _beginning(sample: Path) -> bytes:
    """The first bytes of the sample, unpacked where it is packed; none where it says gzip and is not."""
    with sample.open("rb") as file:
        first = file.read(_SNIFFED_BYTES)
    if not is_packed(sample.name, first):
        return first
    # A broken file is told of by whoever reads all of it.
    with contextlib.suppress(zlib.error):
        return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16).decompress(first, _SNIFFED_BYTES)
    return b""


def _input(node: Node, text: str) -> InputTable:
    ref = parse_dataset_ref(text)
    try:
        entry = node.datasets.resolve(node.auth.admin_caller(), ref)
    except DatasetNotFoundError:
        return InputTable(text)
    state = node.chains.state(entry.id)
    vocab, schema = state.vocab, state.schema
    fields = schema.schema_.fields if schema is not None and schema.schema_ is not None else ()
    own = {vocab.offset_column, vocab.operation_type_column, vocab.system_time_column, vocab.event_time_column}
    columns = tuple(field.name for field in fields if field.name not in own)
    return InputTable(text, columns, vocab.event_time_column or "event_time")


def _checked(text: str) -> str:
    """What we write must be what we read."""
    parse_snapshots(text)
    return text
