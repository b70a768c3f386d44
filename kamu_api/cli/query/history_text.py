"""Queries of the past, as facts for scripts and as lines for people."""

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from kamu_api.cli.output import short_text, size_text, time_text
from kamu_assets.odf.identity import AccountID, AccountName
from kamu_assets.query.history.model import QueryRecord


def facts_of(
    records: Sequence[QueryRecord], known_as: Callable[[AccountID], AccountName | None]
) -> list[dict[str, Any]]:
    """For scripts; accounts have their names as long as they exist."""
    name_of = cache(known_as)
    return [_facts(record, None if record.account is None else name_of(record.account)) for record in records]


def row_of(facts: dict[str, Any]) -> dict[str, Any]:
    """For a table."""
    return {
        "query": facts["id"],
        "started (UTC)": time_text(facts["startedAt"]),
        "took": _seconds_text(facts["seconds"]),
        "account": _account_text(facts),
        "door": facts["door"],
        "state": _words(facts["state"]),
        "records": f"{facts['records']:,}",
        "size": size_text(facts["bytes"]),
        "sql": short_text(_what(facts)),
    }


def lines_of(facts: dict[str, Any]) -> Iterator[str]:
    """All of one."""
    told = {
        "query": facts["id"],
        "account": _account_text(facts),
        "door": facts["door"],
        "request": facts["requestId"],
        "state": _words(facts["state"]),
        "error": facts["error"],
        "message": facts["message"],
        "started": f"{time_text(facts['startedAt'])} UTC",
        "took": f"{_seconds_text(facts['seconds'])}, {_seconds_text(facts['waitedSeconds'])} of it in the queue",
        "answer": f"{facts['records']:,} record(s), {size_text(facts['bytes'])}",
        "memory": size_text(facts["peakBytes"]) if facts["peakBytes"] else None,
    }
    for name, text in told.items():
        if text is not None:
            yield f"{name:10}{text}"
    for read in facts["datasets"]:
        yield f"{'read':10}{read['alias']} ({read['id']}) at {read['blockHash']}"
    if facts["sql"] is not None:
        yield f"{'sql':10}{facts['sql']}"
        if facts["sqlLength"] > len(facts["sql"]):
            yield f"{'':10}… of {facts['sqlLength']:,} characters"


def _facts(record: QueryRecord, name: AccountName | None) -> dict[str, Any]:
    return {
        "id": record.id,
        "state": record.state.value,
        "account": None if name is None else str(name),
        "accountId": None if record.account is None else str(record.account),
        "door": record.origin.door.value,
        "requestId": record.origin.request,
        "sql": record.sql,
        "sqlLength": record.sql_length,
        "datasets": [
            {"id": str(read.id), "alias": read.alias, "blockHash": str(read.block_hash)} for read in record.datasets
        ],
        "startedAt": str(record.started_at),
        "finishedAt": None if record.finished_at is None else str(record.finished_at),
        "seconds": record.seconds,
        "waitedSeconds": record.waited_seconds,
        "records": record.rows,
        "bytes": record.bytes,
        "peakBytes": record.peak_bytes,
        "error": record.error,
        "message": record.message,
    }


def _account_text(facts: dict[str, Any]) -> str:
    return str(facts["account"] or facts["accountId"] or "anonymous")


def _what(facts: dict[str, Any]) -> str:
    if facts["sql"] is not None:
        return " ".join(facts["sql"].split())
    return f"newest of {', '.join(read['alias'] for read in facts['datasets'])}"


def _seconds_text(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms" if seconds < 1 else f"{seconds:,.2f} s"


def _words(state: str) -> str:
    return state.lower().replace("_", " ")
