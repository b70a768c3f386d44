"""A minute in which everything failed (trial DS-06): whoever looks is told of all of it at once."""

from __future__ import annotations

import json
from pathlib import Path

from sqlalchemy import insert

from kamu_assets.flows.causes import CauseKind, FlowCause
from kamu_assets.flows.flow_rows import flows, values_of
from kamu_assets.flows.model import Flow, FlowOutcome, FlowState, FlowType, OutcomeKind
from kamu_assets.node import open_node
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.settings import load_settings
from tests.support.builders import a_dataset_id
from tests.support.command_line import Home

FAILED = 3_000
SECOND = 10**9


def fail(home: Home) -> Timestamp:
    """Fifty flows a second; tells when the last of them failed."""
    with open_node(load_settings(home.path / "home")) as node:
        began = node.clock.now().ns - 60 * SECOND
        ends = [Timestamp(began + number * SECOND // 50) for number in range(FAILED)]
        failed = [
            Flow(
                id=0,
                scope=a_dataset_id(f"dataset{number}"),
                type=FlowType.INGEST,
                causes=(FlowCause(CauseKind.AUTO_POLLING),),
                state=FlowState.FINISHED,
                created_at=ended,
                finished_at=ended,
                outcome=FlowOutcome(OutcomeKind.FAILED, "the server answered 503"),
            )
            for number, ended in enumerate(ends)
        ]
        with node.database.transaction() as tx:
            tx.execute(insert(flows), [values_of(flow) for flow in failed])
    return ends[-1]


def test_the_status_counts_them_all_and_shows_the_last(tmp_path: Path) -> None:
    home = Home(tmp_path)
    last = fail(home)

    # A node that does not run is no success.
    work = json.loads(home.run("status", "--json").out)["work"]

    assert work["failed"] == FAILED
    assert work["failures"][0] == {
        "dataset": str(a_dataset_id(f"dataset{FAILED - 1}")),
        "finishedAt": str(last),
        "message": "the server answered 503",
    }
