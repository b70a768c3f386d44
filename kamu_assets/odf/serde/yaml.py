"""The text form of ODF documents: YAML manifests, and the JSON form of blocks that kamu prints.

A manifest is an envelope of `kind`, `version` and `content`. Unknown fields are errors everywhere.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from kamu_assets.odf.dataset import DatasetSnapshot, MetadataBlock, MetadataEvent
from kamu_assets.odf.serde.manifest_errors import ManifestError, UnsupportedManifestVersionError, manifest_error
from kamu_assets.odf.serde.yaml_text import dump_document, load_documents
from kamu_assets.odf.typedef import OdfModel

__all__ = [
    "ManifestError",
    "UnsupportedManifestVersionError",
    "block_from_json",
    "block_to_json",
    "dump_block",
    "dump_event",
    "dump_snapshot",
    "event_from_json",
    "event_to_json",
    "parse_block",
    "parse_event",
    "parse_snapshot",
    "parse_snapshots",
    "snapshot_from_json",
    "snapshot_to_json",
]

_Document = TypeVar("_Document")

_SNAPSHOT: TypeAdapter[DatasetSnapshot] = TypeAdapter(DatasetSnapshot)
_BLOCK: TypeAdapter[MetadataBlock] = TypeAdapter(MetadataBlock)
_EVENT: TypeAdapter[MetadataEvent] = TypeAdapter(MetadataEvent)

# Versions that are read; the last one is written.
_VERSIONS = {"DatasetSnapshot": (1,), "MetadataEvent": (1,), "MetadataBlock": (2, 3)}
_ENVELOPE = ("kind", "version", "content")


def parse_snapshot(text: str) -> DatasetSnapshot:
    """Read a DatasetSnapshot manifest."""
    return _checked(_SNAPSHOT, _content(_only_document(text), "DatasetSnapshot"), DatasetSnapshot, prefix="content")


def parse_snapshots(text: str) -> list[DatasetSnapshot]:
    """Read a text of several DatasetSnapshot manifests; empty documents are skipped."""
    contents = [_content(document, "DatasetSnapshot") for document in load_documents(text) if document is not None]
    return [_checked(_SNAPSHOT, content, DatasetSnapshot, prefix="content") for content in contents]


def parse_event(text: str) -> MetadataEvent:
    """Read a MetadataEvent manifest."""
    return _checked(_EVENT, _content(_only_document(text), "MetadataEvent"), MetadataEvent, prefix="content")


def parse_block(text: str) -> MetadataBlock:
    """Read a MetadataBlock manifest."""
    return _checked(_BLOCK, _content(_only_document(text), "MetadataBlock"), MetadataBlock, prefix="content")


def dump_snapshot(snapshot: DatasetSnapshot) -> str:
    """Write a DatasetSnapshot manifest."""
    return _manifest("DatasetSnapshot", snapshot)


def dump_event(event: MetadataEvent) -> str:
    """Write a MetadataEvent manifest."""
    return _manifest("MetadataEvent", event)


def dump_block(block: MetadataBlock) -> str:
    """Write a MetadataBlock manifest."""
    return _manifest("MetadataBlock", block)


def snapshot_to_json(snapshot: DatasetSnapshot) -> dict[str, Any]:
    """The content of a snapshot manifest as a JSON object."""
    return _to_json(snapshot)


def snapshot_from_json(value: Mapping[str, Any]) -> DatasetSnapshot:
    """Read what `snapshot_to_json` writes."""
    return _checked(_SNAPSHOT, value, DatasetSnapshot, prefix="")


def event_to_json(event: MetadataEvent) -> dict[str, Any]:
    """An event as a JSON object."""
    return _to_json(event)


def event_from_json(value: Mapping[str, Any]) -> MetadataEvent:
    """Read what `event_to_json` writes."""
    return _checked(_EVENT, value, MetadataEvent, prefix="")


def block_to_json(block: MetadataBlock) -> dict[str, Any]:
    """A block as a JSON object."""
    return _to_json(block)


def block_from_json(value: Mapping[str, Any]) -> MetadataBlock:
    """Read what `block_to_json` writes."""
    return _checked(_BLOCK, value, MetadataBlock, prefix="")


def _to_json(document: OdfModel) -> dict[str, Any]:
    return document.model_dump(mode="json", by_alias=True, exclude_none=True)


def _manifest(kind: str, document: OdfModel) -> str:
    return dump_document({"kind": kind, "version": _VERSIONS[kind][-1], "content": _to_json(document)})


def _only_document(text: str) -> Any:
    documents = load_documents(text)
    if len(documents) != 1:
        raise ManifestError(f"expected one document, found {len(documents)}")
    return documents[0]


def _content(document: Any, kind: str) -> Any:
    """What is in the envelope, which must be of the expected kind and a version we read."""
    if not isinstance(document, dict):
        raise ManifestError("a manifest is an object of `kind`, `version` and `content`")
    for name in _ENVELOPE:
        if name not in document:
            raise ManifestError("missing field", path=name)
    for name in document.keys() - set(_ENVELOPE):
        raise ManifestError("unknown field, allowed are `kind`, `version`, `content`", path=name)
    if document["kind"] != kind:
        raise ManifestError(f"unexpected kind {document['kind']!r}, expected {kind}", path="kind")
    version = document["version"]
    if type(version) is not int:
        raise ManifestError("must be a whole number", path="version")
    if version not in _VERSIONS[kind]:
        raise UnsupportedManifestVersionError(kind=kind, version=version, supported=_VERSIONS[kind])
    return document["content"]


def _checked(adapter: TypeAdapter[_Document], value: Any, annotation: Any, *, prefix: str) -> _Document:
    try:
        return adapter.validate_python(value, by_alias=True, by_name=False)
    except ValidationError as error:
        raise manifest_error(error, annotation, prefix=prefix) from error
