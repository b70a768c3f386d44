"""What flows achieved in words, and as facts for scripts."""

from typing import TYPE_CHECKING, Any

from kamu_api.cli.output import time_text

if TYPE_CHECKING:
    from kamu_assets.flows.results import FlowResult


def result_facts(result: "FlowResult | None") -> dict[str, Any] | None:
    """By the names that the API has for them."""
    from kamu_assets.flows.results import (
        ChainReplaced,
        DataAdded,
        GarbageRemoved,
        NothingChanged,
        NothingNew,
        ReceiverTold,
        Verified,
    )

    match result:
        case None:
            return None
        case NothingNew():
            facts: dict[str, Any] = {"uncacheable": result.uncacheable}
        case DataAdded():
            facts = {"numBlocks": result.blocks, "numRecords": result.records, "hasMore": result.has_more}
            facts["updatedWatermark"] = None if result.watermark is None else str(result.watermark)
        case NothingChanged():
            facts = {}
        case ChainReplaced():
            facts = {"originalBlocksCount": result.original_blocks, "resultingBlocksCount": result.resulting_blocks}
            facts["newHead"] = str(result.new_head)
        case Verified():
            facts = {"verdict": result.verdict, "blocks": result.blocks}
            facts |= {"faults": result.faults, "remarks": result.remarks}
        case GarbageRemoved():
            facts = {"files": result.files, "bytes": result.bytes, "datasets": result.datasets}
        case ReceiverTold():
            facts = {"deliveries": result.deliveries, "responseStatus": result.response_status}
    return {"kind": result.kind, **facts}


def result_text(facts: dict[str, Any]) -> str:
    """One line."""
    match facts["kind"]:
        case "UP_TO_DATE":
            unread = "not read again: the source cannot tell whether it changed (--fetch-uncacheable reads it)"
            text = unread if facts["uncacheable"] else "nothing was new"
        case "UPDATED":
            text = _added(facts)
        case "NOTHING_TO_DO":
            text = "there was nothing to do"
        case "REORGANIZED":
            before, after = facts["originalBlocksCount"], facts["resultingBlocksCount"]
            text = f"{_count(before, 'block')} before, {after:,} now, head {facts['newHead']}"
        case "VERIFIED":
            text = _judged(facts)
        case "TOLD":
            text = _told(facts)
        case _:
            text = f"removed {_count(facts['files'], 'file')}, {facts['bytes']:,} bytes"
    return text


def _judged(facts: dict[str, Any]) -> str:
    told = f"{facts['verdict'].lower()}: {_count(facts['blocks'], 'block')}, {_count(facts['faults'], 'fault')}"
    return f"{told}, {_count(facts['remarks'], 'remark')}" if facts["remarks"] else told


def _added(facts: dict[str, Any]) -> str:
    told = f"{_count(facts['numRecords'], 'record')} in {_count(facts['numBlocks'], 'block')}"
    if facts["updatedWatermark"] is not None:
        told += f", watermark {time_text(facts['updatedWatermark'])}"
    return f"{told}; the source has more" if facts["hasMore"] else told


def _told(facts: dict[str, Any]) -> str:
    got_there = f"{_count(facts['deliveries'], 'message')} got there" if facts["deliveries"] else "nothing got there"
    status = facts["responseStatus"]
    return got_there if status is None else f"{got_there}, the last answer was {status}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
