"""The job that tells a subscribed web server of what it was not told yet; Dagster's UI can start it by hand."""

import logging
from typing import Protocol

from dagster import Config, Failure, InitResourceContext, JobDefinition, OpExecutionContext, job, op, resource
from dagster._core.errors import DagsterExecutionInterruptedError
from pydantic import Field

from kamu_assets.defs.resources import NoNodeError
from kamu_assets.errors import KamuError
from kamu_assets.orchestration.names import METADATA_RETRY_AFTER, TAG_IDLE
from kamu_assets.orchestration.reports.materialization import Shown
from kamu_assets.webhooks.errors import DeliveryFailedError, RecalledError

TELLER = "teller"
_WHAT_TO_DO = "Its flow tries again, as far as its retries go. `kamu-node webhook show` tells how it is going."


class Teller(Protocol):
    """Does it."""

    def deliver(self, webhook: str, *, run_id: str, log: logging.Logger) -> int:
        """Send what waits; tells how many deliveries."""
        ...


class DeliverConfig(Config):
    """Which webhook."""

    webhook: str = Field(description="id of a subscription, as `kamu-node webhook list` shows it")


@resource
def no_teller(_context: InitResourceContext) -> Teller:
    """Stands in for the node where jobs are only listed."""
    raise NoNodeError


@op(required_resource_keys={TELLER})
def deliver(context: OpExecutionContext, config: DeliverConfig) -> None:
    """Send a subscribed web server what it was not told yet, signed, in order."""
    teller: Teller = context.resources.teller
    try:
        if not teller.deliver(config.webhook, run_id=context.run_id, log=context.log):
            context.instance.add_run_tags(context.run_id, {TAG_IDLE: "true"})
    except RecalledError:
        raise DagsterExecutionInterruptedError from None
    except KamuError as error:
        raise _failure(error, config.webhook) from error.with_traceback(None)


@job(description="Tells a subscribed web server of changes that it was not told yet.")
def webhook_deliver() -> None:
    deliver()


JOBS: list[JobDefinition] = [webhook_deliver]


def _failure(error: KamuError, webhook: str) -> Failure:
    """A run's end that is no bug of ours, without a traceback."""
    facts: dict[str, Shown] = {"what_to_do": _WHAT_TO_DO, "webhook": webhook}
    if isinstance(error, DeliveryFailedError) and error.retry_after is not None:
        facts[METADATA_RETRY_AFTER] = error.retry_after
    return Failure(description=str(error), metadata=facts)
