"""What the command line says of a failure: the words of its error, and what to do next."""

import re
import traceback
from tempfile import NamedTemporaryFile

from kamu_assets.errors import KamuError

_NO_TABLE = re.compile(r"table '[^']*' not found")
_SEE_LIST = "`kamu-node list` shows what there is"


def failure_text(error: KamuError) -> str:
    """One message, as people at this machine can use it."""
    text = str(error)
    step = _SEE_LIST if _NO_TABLE.match(text) else _next_step(error)
    # Many say it themselves.
    return text if step is None or "`kamu-node " in text else f"{text}; {step}"


def told(error: Exception) -> str:
    """Whatever went wrong, in one message."""
    match error:
        case KamuError():
            return failure_text(error)
        case OSError():
            place = f"{error.filename}: " if error.filename else ""
            return f"{place}{error.strerror or error}"
        case _:
            return _bug_text(error)


def _bug_text(error: Exception) -> str:
    """What should not have happened; the details are in a file, for whoever repairs it."""
    with NamedTemporaryFile("w", prefix="kamu-node-", suffix=".log", encoding="utf-8", delete=False) as file:
        file.writelines(traceback.format_exception(error))
    words = str(error).strip().partition("\n")[0][:300]
    return f"unexpected {type(error).__name__}: {words}. This is a bug: please report it with {file.name}"


def _next_step(error: KamuError) -> str | None:
    step = next((step for kind, step in _steps().items() if isinstance(error, kind)), None)
    return None if step is None else step.format_map(vars(error))


def _steps() -> dict[type[KamuError], str]:
    """With names of facts of the errors in braces. Imported when something has failed, not by every command."""
    from kamu_assets.coordinator.errors import InvalidInputIntervalError
    from kamu_assets.coordinator.ingest import errors as ingest
    from kamu_assets.datasets import errors as datasets
    from kamu_assets.flows.errors import InvalidTriggerError
    from kamu_assets.flows.store import FlowNotFoundError
    from kamu_assets.node import UnusableFolderError
    from kamu_assets.storage import errors as storage
    from kamu_assets.webhooks import errors as webhooks

    return {
        datasets.DatasetNotFoundError: _SEE_LIST,
        datasets.NothingMatchesError: _SEE_LIST,
        datasets.DanglingReferenceError: "delete those first, or with --recursive together with it",
        datasets.NameCollisionError: "choose another name, for `adopt` with --alias",
        datasets.MissingInputsError: "add them first, or together with what reads them",
        datasets.CyclicDependencyError: "take one of them out of the inputs of the next",
        datasets.BeingAdoptedError: "wait until that is done",
        datasets.HeadMovedError: "do it again",
        InvalidInputIntervalError: "it was reset or compacted: `kamu-node pull` computes all rows anew with "
        "--reset-derivatives-on-diverged-input",
        datasets.DanglingObjectError: "copy the directory again, whole",
        ingest.PushSourceNotFoundError: "`kamu-node log <dataset>` shows its sources, --source-name chooses one",
        ingest.PushSourceAmbiguousError: "choose one with --source-name",
        ingest.UnsupportedMediaTypeError: "say what it is with --input-format",
        ingest.SourceUnreachableError: "try again later",
        storage.DamagedBlockError: "`kamu-node verify %` says what is left",
        storage.ObjectNotFoundError: "`kamu-node verify %` says what is left",
        FlowNotFoundError: "`kamu-node flow list` shows what there is; what ended long ago is forgotten "
        "(flow_agent.keep_days)",
        InvalidTriggerError: "write --every 1h, or --cron '0 3 * * *' for 03:00 UTC every day",
        webhooks.PlainTargetError: "`kamu-node config set webhooks.allow_http true` allows http, which everybody on "
        "the way can read",
        webhooks.InnerTargetError: "`kamu-node config set egress.allow <address>` lets the node send there",
        webhooks.DuplicateLabelError: "choose another label",
        webhooks.GivenUpError: "it was given up after {failures} failure(s): "
        "`kamu-node webhook reactivate {subscription}` tries again",
        webhooks.UnexpectedStatusError: "`kamu-node webhook show <webhook>` tells its state",
        webhooks.SubscriptionNotFoundError: "`kamu-node webhook list` shows what there is",
        UnusableFolderError: "--home or KAMU_NODE_HOME names another",
    }
