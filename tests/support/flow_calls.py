"""GraphQL calls about flows, read as far as our services have something to do for them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from kamu_assets.flows.arguments import CompactionArguments, IngestArguments
from kamu_assets.flows.model import FlowType
from kamu_assets.flows.retrying import Backoff, FlowConfig, RetryPolicy
from kamu_assets.flows.triggers.rules import BreakingChange, Cron, Interval, Reactive, TriggerRule

Json = Any

_SECONDS = {"MINUTES": 60, "HOURS": 3_600, "DAYS": 86_400, "WEEKS": 604_800}
_NAMES = (
    *("createFromSnapshot", "createEmpty", "setTrigger", "setIngestConfig", "setCompactionConfig"),
    *("triggerIngestFlow", "triggerTransformFlow", "triggerCompactionFlow"),
    *("pauseAccountDatasetFlows", "resumeAccountDatasetFlows", "pauseFlows", "pauseFlow", "resumeFlow"),
    *("createSubscription", "listFlows", "getFlow", "summary", "byType"),
)
_STARTED = {
    "triggerIngestFlow": FlowType.INGEST,
    "triggerTransformFlow": FlowType.EXECUTE_TRANSFORM,
    "triggerCompactionFlow": FlowType.HARD_COMPACTION,
}


@dataclass(frozen=True)
class Call:
    """One of them: its name and its arguments, whether these stand in the text or beside it."""

    name: str
    arguments: dict[str, Json]

    @property
    def type(self) -> FlowType | None:
        """Of which flows it speaks."""
        named = self.arguments.get("datasetFlowType")
        return FlowType(named) if named else _STARTED.get(self.name)

    @property
    def rule(self) -> TriggerRule:
        return _rule(self.arguments["triggerRuleInput"])

    @property
    def stop_after(self) -> int | None:
        number: int | None = (
            self.arguments["triggerStopPolicyInput"].get("afterConsecutiveFailures", {}).get("maxFailures")
        )
        return number

    @property
    def config(self) -> FlowConfig | None:
        ingest, compaction = self.arguments.get("ingestConfigInput"), self.arguments.get("compactionConfigInput")
        retry = self.arguments.get("retryPolicyInput")
        if not (ingest or compaction or retry):
            return None
        return FlowConfig(
            retry and RetryPolicy(retry["maxAttempts"], _seconds(retry["minDelay"]), Backoff(retry["backoffType"])),
            ingest=ingest and IngestArguments(ingest["fetchUncacheable"], ingest["fetchNextIteration"]),
            compaction=compaction and CompactionArguments(compaction["maxSliceSize"], compaction["maxSliceRecords"]),
        )


def call_of(text: str, variables: dict[str, Json]) -> Call | None:
    """The first call in a document that we know."""
    found = re.search(rf"\b({'|'.join(_NAMES)})\b", text)
    if found is None:
        return None
    written = _arguments(text[found.end() :])
    return Call(
        found[1],
        {
            name: variables[value] if isinstance(value, str) and value in variables else value
            for name, value in written.items()
        },
    )


def dataset_in(text: str, variables: dict[str, Json]) -> str | None:
    """What stands for the dataset that a document is about."""
    written = re.search(r'byId\(datasetId: "([^"]+)"', text)
    if written:
        return written[1]
    named = re.search(r"byId\(datasetId: \$(\w+)", text)
    return variables[named[1]] if named else None


def _arguments(text: str) -> dict[str, Json]:
    if not text.startswith("("):
        return {}
    depth = 0
    for end, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if depth == 0:
            return _literal("{" + text[1:end] + "}")
    raise ValueError(text)


def _literal(text: str) -> dict[str, Json]:
    """A GraphQL literal; variables become the texts of their names."""
    parts = re.split(r'("(?:[^"\\]|\\.)*")', text)
    plain = [part if part.startswith('"') else _as_json(part) for part in parts]
    read: dict[str, Json] = json.loads("".join(plain))
    return read


def _as_json(text: str) -> str:
    named = re.sub(r"(\w+)\s*:", r'"\1":', text)
    return re.sub(r"(?<![\"\w])\$?([A-Za-z_]\w*)(?![\w\"])", _word, named)


def _word(found: re.Match[str]) -> str:
    return found[1] if found[1] in {"true", "false", "null"} else f'"{found[1]}"'


def _rule(rule: dict[str, Json]) -> TriggerRule:
    if reaction := rule.get("reactive"):
        batches = reaction["forNewData"].get("buffering")
        breaking = BreakingChange(reaction["forBreakingChange"])
        if batches is None:
            return Reactive(breaking_change=breaking)
        return Reactive(batches["minRecordsToAwait"], _seconds(batches["maxBatchingInterval"]), breaking)
    if cron := rule["schedule"].get("cron5ComponentExpression"):
        return Cron(cron)
    return Interval(_seconds(rule["schedule"]["timeDelta"]))


def _seconds(delta: dict[str, Json]) -> int:
    number: int = delta["every"] * _SECONDS[delta["unit"]]
    return number
