"""The queries of a dataset: as JSON, and for people."""

from collections.abc import Iterator
from typing import Any

from kamu_assets.datasets.description import DatasetDescription
from kamu_assets.odf.engine import TransformSql, normalize_transform


def query_facts(found: DatasetDescription) -> list[dict[str, Any]]:
    """One object per transform: that of a derivative, or the preprocessing of each source."""
    chain, inputs = found.chain, [_input(str(each), each.ref, each.alias) for each in found.inputs]
    preprocessing = {f"push source {each.source_name}": each.preprocess for each in chain.push_sources.values()}
    if chain.polling_source:
        preprocessing["polling source"] = chain.polling_source.preprocess
    return [
        *([_facts("transform", chain.transform.transform, inputs)] if chain.transform else ()),
        *(_facts(of, transform, []) for of, transform in preprocessing.items() if transform),
    ]


def query_lines(facts: list[dict[str, Any]]) -> Iterator[str]:
    """SQL that can be copied; all else is a comment of it."""
    for each in facts:
        version = f" {each['version']}" if each["version"] else ""
        yield f"-- {each['of']}, engine {each['engine']}{version}"
        for read in each["inputs"]:
            yield f"-- input {read['alias'] or read['dataset']}: {read['dataset']} ({read['id']})"
        for table in each["temporalTables"]:
            yield f"-- temporal table {table['name']}, primary key {', '.join(table['primaryKey'])}"
        for number, step in enumerate(each["queries"], start=1):
            yield f"\n-- step {number} of {len(each['queries'])}: {step['alias'] or 'the output'}"
            yield f"{step['query'].strip().rstrip(';')};"
        yield ""


def _facts(of: str, transform: TransformSql, inputs: list[dict[str, Any]]) -> dict[str, Any]:
    steps = normalize_transform(transform).queries or ()
    tables = transform.temporal_tables or ()
    return {
        "of": of,
        "engine": transform.engine,
        "version": transform.version,
        "inputs": inputs,
        "temporalTables": [{"name": table.name, "primaryKey": list(table.primary_key)} for table in tables],
        "queries": [{"alias": step.alias, "query": step.query} for step in steps],
    }


def _input(dataset: str, ref: str, alias: str | None) -> dict[str, Any]:
    return {"alias": alias, "dataset": dataset, "id": ref}
