"""Where Dagster's UI believes a run comes from: one of the code locations, although no code server was asked."""

import sys

from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin

from kamu_assets.orchestration.catalog.shards import Shard
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.orchestration.names import ASSET_JOB, REPOSITORY

FLOWS_MODULE = "kamu_assets.definitions.flows"
FLOWS_LOCATION = "flows"
CATALOG_MODULE = "kamu_assets.definitions.catalog"


def remote_job_origin(config: AdapterConfig, shard: Shard) -> RemoteJobOrigin:
    """The same as of runs that the UI starts, so that filters find both."""
    location = GrpcServerCodeLocationOrigin(host=config.host, port=shard.port, location_name=shard.location)
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, REPOSITORY), ASSET_JOB)


def job_code_origin() -> JobPythonOrigin:
    """How a process of its own would load the job; Dagster insists on it."""
    pointer = ModuleCodePointer(CATALOG_MODULE, "defs", working_directory=None)
    return JobPythonOrigin(ASSET_JOB, RepositoryPythonOrigin(sys.executable, pointer))


def flows_job_origin(config: AdapterConfig, job: str) -> RemoteJobOrigin:
    """The same of a job of the `flows` location."""
    location = GrpcServerCodeLocationOrigin(host=config.host, port=config.flows_port, location_name=FLOWS_LOCATION)
    return RemoteJobOrigin(RemoteRepositoryOrigin(location, REPOSITORY), job)


def flows_job_code_origin(job: str) -> JobPythonOrigin:
    """How a process of its own would load it."""
    pointer = ModuleCodePointer(FLOWS_MODULE, "defs", working_directory=None)
    return JobPythonOrigin(job, RepositoryPythonOrigin(sys.executable, pointer))
