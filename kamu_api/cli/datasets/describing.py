"""One dataset described: as a JSON document, and for people."""

from collections.abc import Iterator, Sequence
from typing import Any

from kamu_api.cli.flows.trigger_text import live_text, outcome_text, trigger_text
from kamu_api.cli.output import size_text, time_text
from kamu_assets.datasets.description import DatasetDescription
from kamu_assets.odf.dataset import AddPushSource, SetPollingSource
from kamu_assets.odf.ddl_text import ddl_columns
from kamu_assets.odf.source import FetchStep
from kamu_assets.odf.typedef import OdfModel

_INDENT = 14


def description_facts(found: DatasetDescription) -> dict[str, Any]:
    """Everything; parts of the chain in the JSON form of ODF."""
    entry, sums, chain = found.entry, found.summary.statistics, found.chain
    return {
        "id": str(entry.id),
        "name": str(entry.name),
        "account": str(entry.account),
        "owner": str(entry.owner),
        "kind": entry.kind.value,
        "createdAt": str(entry.created_at),
        "head": str(found.summary.head),
        "blocks": sums.blocks,
        "slices": sums.slices,
        "records": sums.records,
        "lastOffset": sums.last_offset,
        "dataSize": sums.data_size,
        "checkpointsSize": sums.checkpoints_size,
        "watermark": _text(sums.watermark),
        "updatedAt": _text(sums.updated_at),
        "pulledAt": _text(sums.pulled_at),
        "location": found.location,
        "inputs": [{"dataset": str(each), "ref": each.ref, "alias": each.alias} for each in found.inputs],
        "dependents": [str(each.alias) for each in found.dependents],
        "pollingSource": _json(chain.polling_source),
        "pushSources": [_json(source) for source in chain.push_sources.values()],
        "transform": _json(chain.transform.transform if chain.transform else None),
        "vocabulary": _json(chain.vocab),
        "schema": _json(found.schema),
        "info": _json(chain.info),
        "license": _json(chain.license),
    }


def description_lines(found: DatasetDescription, work: dict[str, Any]) -> Iterator[str]:
    """The same for people: a title, one line per fact, the columns; `work` is what happens to it by itself."""
    yield f"{found.entry.alias} ({found.entry.kind.value})"
    for word, text in (*_told(found), *_work(found, work)):
        first, *more = text.splitlines() or [""]
        yield f"  {word:<{_INDENT}}{first}".rstrip()
        for line in more:
            yield " " * (_INDENT + 2) + line
    schema = found.schema
    yield "  columns" if schema else f"  {'columns':<{_INDENT}}not known before the first data"
    for column in ddl_columns(schema) if schema else ():
        yield f"    {column}"


def _told(found: DatasetDescription) -> Iterator[tuple[str, str]]:
    entry, sums, chain = found.entry, found.summary.statistics, found.chain
    yield "id", str(entry.id)
    yield "owner", str(entry.account)
    if chain.info and chain.info.description:
        yield "about", chain.info.description
    if chain.info and chain.info.keywords:
        yield "keywords", ", ".join(chain.info.keywords)
    if chain.license:
        yield "license", f"{chain.license.name} ({chain.license.website_url})"
    yield "head", f"{found.summary.head}, block {chain.sequence_number}"
    yield "records", f"{sums.records:,} in {sums.slices:,} slice(s)"
    yield "size", f"{size_text(sums.data_size)} of data, {size_text(sums.checkpoints_size)} of checkpoints"
    yield "watermark", _utc(_text(sums.watermark))
    yield "updated", _utc(_text(sums.updated_at))
    yield "files", found.location
    yield from _origin(found)
    yield "read by", _names([str(each.alias) for each in found.dependents]) or "nobody"


def _work(found: DatasetDescription, work: dict[str, Any]) -> Iterator[tuple[str, str]]:
    trigger, now, last = work["trigger"], work["currentRun"], work["lastRun"]
    if trigger:
        yield "trigger", trigger_text(trigger)
    elif found.chain.transform:
        yield "trigger", "none needed: a running node computes it when an input changes"
    elif found.chain.polling_source:
        yield "trigger", f"none; `kamu-node trigger set {found.entry.alias} --every 1h` makes one"
    if now:
        yield "run", live_text(now)
    if last:
        yield "last run", f"{time_text(last['finishedAt'])} UTC, {outcome_text(last)}"


def _origin(found: DatasetDescription) -> Iterator[tuple[str, str]]:
    chain = found.chain
    if chain.polling_source:
        yield "source", _polling(chain.polling_source)
    for source in chain.push_sources.values():
        yield "push source", f"{source.source_name}: {_reading(source)}"
    if chain.transform:
        steps = len(chain.transform.transform.queries or ())
        yield "inputs", _names([f"{each} as {each.alias}" if each.alias else str(each) for each in found.inputs])
        query = f"{steps} step(s) of {chain.transform.transform.engine}"
        yield "query", f"{query}; `kamu-node inspect query {found.entry.alias}` shows it"
    elif not chain.polling_source and not chain.push_sources:
        yield "source", "none"


def _polling(source: SetPollingSource) -> str:
    return f"{_place(source.fetch)}: {_reading(source)}"


def _place(fetch: FetchStep) -> str:
    """Where data comes from; the kind of step where no single field says so."""
    values = [getattr(fetch, field, None) for field in ("url", "path", "image", "host", "node_url")]
    return next((str(value) for value in values if value), fetch.kind)


def _reading(source: SetPollingSource | AddPushSource) -> str:
    keys = getattr(source.merge, "primary_key", ())
    merge = f"{source.merge.kind} by {', '.join(keys)}" if keys else source.merge.kind
    return f"{source.read.kind}, merged as {merge}"


def _names(names: Sequence[str]) -> str:
    return ", ".join(names)


def _utc(moment: str | None) -> str:
    return f"{time_text(moment)} UTC" if moment else "never"


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _json(document: OdfModel | None) -> dict[str, Any] | None:
    return None if document is None else document.model_dump(mode="json", by_alias=True, exclude_none=True)
