"""Queries of the past, as tests need them."""

from __future__ import annotations

from typing import Any

from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.query.history.model import Door, Origin, QueryRecord, QueryState
from kamu_assets.query.history.query_ids import new_id
from tests.support.builders import START


def a_record(started_at: Timestamp = START, **fields: Any) -> QueryRecord:
    """Nobody's query that went well and took a second."""
    ended_at = Timestamp(started_at.ns + 1_000_000_000)
    return QueryRecord(
        **{
            "id": new_id(started_at),
            "account": None,
            "origin": Origin(Door.REST_QUERY, "request-1"),
            "sql": "select 1",
            "sql_length": 8,
            "datasets": (),
            "started_at": started_at,
            "seen_at": ended_at,
            "finished_at": ended_at,
            "waited_seconds": 0.25,
            "rows": 1,
            "bytes": 9,
            "peak_bytes": 1 << 20,
            "state": QueryState.OK,
            **fields,
        }
    )


def a_running_record(started_at: Timestamp = START, **fields: Any) -> QueryRecord:
    """One that runs since then, and was seen a second later."""
    return a_record(started_at, **{"finished_at": None, "state": QueryState.RUNNING, **fields})
