"""A coordinator on the heart of a node, with workers or with everything in this process."""

import pickle
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.poll import PollRules
from kamu_assets.coordinator.reorganization import Reorganization
from kamu_assets.coordinator.service import Coordinator, CoordinatorConfig
from kamu_assets.egress.policy import EgressPolicy
from kamu_assets.engines.engine import Engine
from kamu_assets.engines.registry import EngineRegistry
from kamu_assets.engines.workers.job_runner import JobRunner
from kamu_assets.engines.workers.wire import Failure
from kamu_assets.errors import KamuError
from tests.support.heart import Heart

# Web servers of tests are on this machine, which a node reaches only when it is told to.
LOCAL_SERVERS = EgressPolicy.allowing(["127.0.0.1"])

Req = TypeVar("Req")
Res = TypeVar("Res")


class InThisProcess:
    """Runs jobs here, but lets everything travel as it would between processes."""

    def run(
        self,
        job: Callable[[Req], Res],
        request: Req,
        *,
        on_progress: Callable[[Any], None] | None = None,
        cancel: threading.Event | None = None,
    ) -> Res:
        del on_progress, cancel
        try:
            result = job(_sent(request))
        except KamuError as error:
            raise _sent(Failure.of(error)).restored() from error
        return _sent(result)


def _sent(value: Res) -> Res:
    found: Res = pickle.loads(pickle.dumps(value))  # noqa: S301 - what was just pickled
    return found


def a_reorganization(heart: Heart, *, pool: JobRunner | None = None) -> Reorganization:
    return Reorganization(
        datasets=heart.datasets,
        database=heart.database,
        chains=heart.chains,
        committer=heart.committer,
        outbox=heart.outbox,
        volumes=heart.volumes,
        pool=pool or InThisProcess(),
        clock=heart.clock,
    )


def a_coordinator(
    heart: Heart,
    *,
    base: Path,
    pool: JobRunner | None = None,
    verify_pool: JobRunner | None = None,
    engines: Mapping[str, Engine] | None = None,
    variables: Mapping[str, str] | None = None,
    limits: IngestLimits | None = None,
    poll: PollRules | None = None,
) -> Coordinator:
    return Coordinator(
        datasets=heart.datasets,
        database=heart.database,
        chains=heart.chains,
        committer=heart.committer,
        volumes=heart.volumes,
        ingest_pool=pool or InThisProcess(),
        verify_pool=verify_pool or InThisProcess(),
        engines=EngineRegistry(engines or {}),
        clock=heart.clock,
        config=CoordinatorConfig(
            base=base,
            ingest=limits or IngestLimits(),
            poll=poll or PollRules(egress=LOCAL_SERVERS),
        ),
        reorganization=a_reorganization(heart),
        variables=variables,
    )
