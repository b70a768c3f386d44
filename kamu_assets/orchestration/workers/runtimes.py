"""Where a run may execute: a tag on it says so, and warm workers are the only place so far."""

from dagster import DagsterRun

from kamu_assets.errors import InvalidError
from kamu_assets.orchestration.names import ASSET_JOB, RUNTIME_POD, RUNTIME_WARM, TAG_RUNTIME


class UnknownRuntimeError(InvalidError):
    """The run's tag asks for a place that does not exist."""

    def __init__(self, runtime: str) -> None:
        super().__init__(
            f"run tag {TAG_RUNTIME}={runtime} is not known; known: {RUNTIME_WARM}."
            f" Set {TAG_RUNTIME}={RUNTIME_WARM} or leave the tag out"
        )


class PodsUnavailableError(InvalidError):
    """The run's tag asks for a pod, and this node has none."""

    def __init__(self) -> None:
        super().__init__(
            f"run tag {TAG_RUNTIME}={RUNTIME_POD}: pods are not available on this node."
            f" Set {TAG_RUNTIME}={RUNTIME_WARM} or leave the tag out, and a warm worker executes the run"
        )


class NothingSelectedError(InvalidError):
    """The run is to materialize, and does not say what."""

    def __init__(self) -> None:
        super().__init__("nothing is selected: name the datasets to materialize, or the checks to execute")


def require_selection(run: DagsterRun) -> None:
    """Raise if the run is of all assets of a location: each of them has runs of its own."""
    if run.job_name == ASSET_JOB and not (run.asset_selection or run.asset_check_selection):
        raise NothingSelectedError


def require_runtime(run: DagsterRun) -> None:
    """Raise unless this node has the place that the run's tag asks for."""
    runtime = run.tags.get(TAG_RUNTIME, RUNTIME_WARM)
    if runtime == RUNTIME_POD:
        raise PodsUnavailableError
    if runtime != RUNTIME_WARM:
        raise UnknownRuntimeError(runtime)
