"""What Dagster calls our things, within the alphabets it allows."""

import re

from dagster import AssetKey

from kamu_assets.odf.identity import DatasetAlias, DatasetID

ASSET_JOB = "__ASSET_JOB"
# The job that tells a receiver of a webhook.
JOB_DELIVER = "webhook_deliver"
# The check that every dataset's asset has.
CHECK_VERIFY = "verify"
# The one of a dataset that says in no words we know what else is to be checked.
CHECK_QUALITY = "quality"
# Every location holds one `Definitions`, which Dagster puts into a repository of this name.
REPOSITORY = "__repository__"

TAG_FLOW = "kamu/flow_id"
TAG_DATASET = "kamu/dataset_id"
# The subscription that a run tells: it is one of its runs, not one of the dataset's.
TAG_WEBHOOK = "kamu/webhook_id"
TAG_ACCOUNT = "kamu/account"
TAG_FLOW_TYPE = "kamu/flow_type"
TAG_ATTEMPT = "kamu/attempt"
TAG_RUNTIME = "kamu/runtime"
# Engines that the run needs a place of, with commas between them.
TAG_ENGINES = "kamu/engines"
# Set on a run that ended through no fault of its own, so that its flow gets another attempt: why, or just `true` when
# its worker died.
TAG_LOST = "kamu/lost"
# Its values where nothing is wrong with the run.
LEFT = "it was stopped with its worker, and begins anew"
INTERRUPTED = "the database went away while the run was executed"
# Set on a run that succeeds and found nothing to do, where no materialization would tell.
TAG_IDLE = "kamu/idle"
# Why the node stopped a run, for who asks before its flow has an outcome.
TAG_STOPPED = "kamu/stopped"
# What Dagster's list of runs shows as `Launched by`; without it, that somebody launched them by hand.
TAG_LAUNCHED_BY = "user"

# What the node alone says of a run: another one that is made like it is another one.
TAGS_OF_ONE_RUN = frozenset({TAG_FLOW, TAG_ATTEMPT, TAG_LOST, TAG_IDLE, TAG_STOPPED, TAG_LAUNCHED_BY})

RUNTIME_WARM = "warm"
RUNTIME_POD = "pod"

# The dataset that a run checks, and does nothing else to.
TAG_CHECKS = "kamu/checks"

METADATA_DATASET_ID = "kamu/dataset_id"
METADATA_HEAD = "kamu/head"
METADATA_ENGINE = "engine"
# On failures: seconds that whoever was asked wants to be left alone.
METADATA_RETRY_AFTER = "retry_after_seconds"
# On events whose text an engine has printed: its pool.
METADATA_ENGINE_OUTPUT = "kamu/engine_output"

_NOT_IN_GROUPS = re.compile(r"[^A-Za-z0-9_]")
_NOT_IN_TAGS = re.compile(r"[^A-Za-z0-9_.-]")
_TAG_LENGTH = 63


def asset_key(account: str, name: str) -> AssetKey:
    return AssetKey([account, name])


def key_of(alias: DatasetAlias) -> AssetKey:
    """The asset of a dataset; a registered dataset always has an account."""
    return asset_key(str(alias.account), str(alias.name))


def op_name(dataset: DatasetID) -> str:
    """Survives a rename, as the identity does."""
    return f"ds_{dataset.to_bytes().hex()}"


def group_name(account: str) -> str:
    return _NOT_IN_GROUPS.sub("_", account)


def tag_value(text: str) -> str:
    return _NOT_IN_TAGS.sub("_", text)[:_TAG_LENGTH]
