"""What can be set, section by section: types, defaults, limits, meanings."""

import json
import re
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ByteSize, ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic_settings import NoDecode

from kamu_assets.egress.policy import BadEgressRuleError, EgressPolicy
from kamu_assets.errors import InvalidError

MIB = 1024 * 1024
GIB = 1024 * MIB

Port = Annotated[int, Field(ge=1, le=65535)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
EngineName = Annotated[str, Field(pattern="^[a-z][a-z0-9_-]*$")]
OwnEngine = Literal["datafusion", "incremental"]
FlowTypeName = Literal[
    "dev.kamu.flow.dataset.ingest",
    "dev.kamu.flow.dataset.transform",
    "dev.kamu.flow.dataset.compact",
    "dev.kamu.flow.dataset.reset",
    "dev.kamu.flow.dataset.reset_to_metadata",
    "dev.kamu.flow.dataset.verify",
    "dev.kamu.flow.system.gc",
]
RemoteEngineUrl = Annotated[str, Field(pattern=r"^grpc://[^/\s]+:[0-9]{1,5}$")]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StorageSettings(Section):
    durability: Literal["full", "fast"] = Field(
        "full", description="full: every acknowledged write is synced to disk; fast: the system decides when"
    )
    root_path: Path | None = Field(
        None, description="where root datasets live; relative to the home; default: <home>/datasets"
    )
    derivative_path: Path | None = Field(
        None, description="where derivative datasets live; relative to the home; default: <home>/datasets"
    )
    parquet_encoding: Literal["kamu", "compact"] = Field(
        "kamu", description="kamu: as kamu writes slices; compact: delta encodings, which some readers do not know"
    )


class DatabaseSettings(Section):
    url: str | None = Field(None, description="SQLAlchemy URL; default: SQLite in <home>/node.db")


class HttpSettings(Section):
    host: str = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(8080, description="port of REST and the API")


class DagsterSettings(Section):
    host: str = Field("127.0.0.1", description="address of Dagster's UI and code servers (no login of their own)")
    webserver_port: Port = Field(3000, description="port of Dagster's UI")
    catalog_port: Port = Field(4000, description="port of the code server with one asset per dataset")
    flows_port: Port = Field(4001, description="port of the code server with the node's own jobs")
    catalog_shards: int | None = Field(
        None,
        ge=1,
        le=64,
        description="code servers that share the catalog; default: as many as dagster.shard_datasets wants, at most 64",
    )
    shard_datasets: int = Field(
        2_000,
        ge=1,
        description="datasets for one code server: when there are more, the node starts another one by itself",
    )
    shard_by: Literal["id", "account"] = Field(
        "id", description="what decides which of them shows a dataset; account keeps an account's datasets together"
    )
    shard_port: Port = Field(4010, description="port of the second of them; later ones have the ports after it")
    postgres_url: str | None = Field(
        None,
        pattern="^postgresql",
        description="URL of a PostgreSQL for Dagster's own tables, in its schema `dagster`; "
        "default: database.url if that is one, else SQLite in <home>/dagster",
    )
    workers: int = Field(1, ge=1, le=64, description="warm workers: how many runs execute at once")
    worker_max_runs: int = Field(1000, ge=1, description="a warm worker is replaced after so many runs")
    keep_days: float = Field(
        30,
        gt=0,
        le=36_500,
        description="how long Dagster's runs and their logs are kept, but for those that tell the latest of a dataset",
    )
    keep_idle_days: float = Field(
        1,
        gt=0,
        le=36_500,
        description="how long runs are kept that looked for new data and found none (at most dagster.keep_days)",
    )
    run_time_limit_seconds: float = Field(
        86_400,
        gt=0,
        allow_inf_nan=False,
        description="a run that takes longer is stopped and fails; the run tag dagster/max_runtime overrides it",
    )


class EngineSettings(Section):
    memory_limit: ByteSize = Field(ByteSize(2 * GIB), description="memory of one ingest or transform")
    time_limit_seconds: float = Field(1800, gt=0, description="time of one ingest or transform")
    workers: int = Field(2, ge=1, le=64, description="engine processes of each process that ingests or transforms")
    capacity: dict[EngineName, Annotated[int, Field(ge=1)]] = Field(
        {},
        description="most runs of an engine at once, by its name in manifests, over all warm workers: {flink: 1};"
        " an engine that is not named here has no such limit",
    )
    batch_rows: int = Field(32_768, ge=1, le=1_048_576, description="rows held at a time while a slice is written")
    names: dict[EngineName, OwnEngine | RemoteEngineUrl] = Field(
        {"datafusion": "datafusion", "flink": "incremental"},
        description="what runs a transform, by the engine its manifest names; a map given here replaces this one. "
        "datafusion: stateless, as kamu's engine of that name; incremental: event-time windows and temporal joins "
        "in the SQL of flink, risingwave or spark; grpc://host:port: another process that speaks ODF's engine protocol",
    )
    mounts: dict[str, str] = Field(
        {}, description="folders of this node, and how engines behind grpc:// call them; others have the same path"
    )

    @model_validator(mode="after")
    def _limits_engines_that_exist(self) -> Self:
        if unknown := sorted(self.capacity.keys() - self.names.keys()):
            known = ", ".join(sorted(self.names))
            raise ValueError(f"capacity: no engine is called {', '.join(unknown)}; engine.names has {known}")
        return self


class IngestSettings(Section):
    base_path: Path | None = Field(
        None, description="where relative paths of sources start; default: the folder the node was started in"
    )
    group_limit: ByteSize = Field(ByteSize(16 * MIB), description="input that concurrent pushes may put into one block")
    queue_limit: ByteSize = Field(ByteSize(256 * MIB), description="pushes waiting for their commit; beyond it: 429")
    max_body: ByteSize = Field(ByteSize(1 * GIB), description="largest body of a push; beyond it: 413")
    max_download: ByteSize = Field(ByteSize(16 * GIB), description="largest file that a source may deliver")
    fetch_timeout_seconds: float = Field(60, gt=0, description="patience with a silent source")
    fetch_deadline_seconds: float = Field(3600, gt=0, description="time of one download in all")
    max_redirects: int = Field(10, ge=0, description="how often a source may send the node elsewhere")
    max_unpacked: ByteSize = Field(ByteSize(64 * GIB), description="largest file that may come out of an archive")
    max_unpack_ratio: int = Field(
        250, ge=1, description="how many times its size an archive may unpack to, beyond the first 64 MiB"
    )
    max_archive_entries: int = Field(100_000, ge=1, description="most entries of a zip archive")
    savepoints_limit: ByteSize = Field(
        ByteSize(16 * GIB), description="downloads kept until they can be ingested, all datasets together"
    )
    savepoint_seconds: float = Field(86_400, ge=0, description="how long such a download is kept")
    variables: dict[VariableName, SecretStr] = Field(
        {}, description="what ${{ env.NAME }} stands for in sources, whoever wrote them; shown to nobody"
    )
    file_roots: tuple[Path, ...] | None = Field(
        None, description="folders that sources may read files from; default: any that the node can read"
    )


class EgressSettings(Section):
    allow: Annotated[tuple[str, ...], NoDecode] = Field(
        (),
        description="addresses beyond public ones that sources may be fetched from: host, host:port, 10.1.0.0/16",
    )

    @field_validator("allow", mode="before")
    @classmethod
    def _split(cls, allow: object) -> object:
        # The environment knows no lists: there it is `a, b`, or JSON as for other settings.
        if not isinstance(allow, str):
            return allow
        return json.loads(allow) if allow.startswith("[") else [rule for rule in re.split(r"[\s,]+", allow) if rule]

    @field_validator("allow")
    @classmethod
    def _are_rules(cls, allow: tuple[str, ...]) -> tuple[str, ...]:
        try:
            EgressPolicy.allowing(allow)
        except BadEgressRuleError as error:
            raise ValueError(str(error)) from error
        return allow


class QuerySettings(Section):
    memory_limit: ByteSize = Field(ByteSize(1 * GIB), description="memory of one query")
    time_limit_seconds: float = Field(60, gt=0, description="time of one query")
    workers: int = Field(2, ge=1, le=64, description="query processes; queries of more than 2 s have as many more")
    max_rows: int = Field(100_000, ge=1, le=10**12, description="most rows of one answer")
    keep_days: float = Field(
        14,
        ge=0,
        le=36_500,
        description="how long the history of queries is kept, texts of queries included; 0: there is none",
    )


class IdentitySettings(Section):
    ed25519_private_key: SecretStr | None = Field(
        None,
        description="the key that signs answers, 32 bytes in multibase; default: <home>/keys/node.key, made once",
    )

    @field_validator("ed25519_private_key")
    @classmethod
    def _is_key(cls, given: SecretStr | None) -> SecretStr | None:
        from kamu_assets.auth.node_key import parse_private_key

        try:
            if given is not None:
                parse_private_key(given.get_secret_value())
        except InvalidError as error:
            raise ValueError(str(error)) from None
        return given


class OutboxSettings(Section):
    keep_seconds: float = Field(7 * 86_400, ge=0, le=10**9, description="how long delivered messages are kept")
    redis_url: str | None = Field(
        None,
        pattern="^(redis|rediss|unix)://",
        description="where transport redis finds its Redis: redis://:password@host:6379/0, or rediss:// with TLS",
    )
    redis_url_file: Path | None = Field(
        None,
        description="a file that has this URL, such as a mounted secret, instead of outbox.redis_url; "
        "relative to the home",
    )
    transport: Literal["embedded", "redis"] = Field(
        "embedded",
        description="how processes hear of each other's messages. embedded: from the database, woken by those of "
        "their machine; redis: by streams of a Redis, for processes on several machines; what it loses is read "
        "from the database",
    )

    @field_validator("redis_url")
    @classmethod
    def _is_redis_url(cls, url: str | None) -> str | None:
        return None if url is None else checked_redis_url(url)

    @field_validator("redis_url_file")
    @classmethod
    def _is_the_only_one(cls, file: Path | None, others: ValidationInfo) -> Path | None:
        if file is not None and others.data.get("redis_url") is not None:
            raise ValueError("must be left out where outbox.redis_url is given")
        return file

    @field_validator("transport")
    @classmethod
    def _knows_its_redis(cls, transport: str, others: ValidationInfo) -> str:
        # Those with mistakes of their own are missing.
        places = [others.data.get(name, "") for name in ("redis_url", "redis_url_file")]
        if transport == "redis" and places == [None, None]:
            raise ValueError("redis needs outbox.redis_url or outbox.redis_url_file")
        return transport


def checked_redis_url(url: str) -> str:
    """The URL itself; raises ValueError if it cannot be one."""
    if not _may_be_redis_url(url):
        raise ValueError("must be redis://:password@host:6379/0, rediss://… with TLS or unix:///path, not what it is")
    return url


def _may_be_redis_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme == "unix":
        return bool(parts.path)
    is_server = parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and port != 0
    return is_server and re.fullmatch(r"/?|/[0-9]{1,6}", parts.path) is not None


class WebhookSettings(Section):
    max_consecutive_failures: int = Field(
        5, ge=1, description="deliveries that may fail in a row before the node stops telling a receiver"
    )
    max_attempts: int = Field(4, ge=1, description="how often one delivery is tried before it has failed")
    retry_seconds: float = Field(
        10, gt=0, allow_inf_nan=False, description="pause before the second attempt; each further one is twice as long"
    )
    timeout_seconds: float = Field(
        10, gt=0, le=600, description="time of one attempt in all, from looking up the name to the answer's status"
    )
    allow_http: bool = Field(
        False, description="whether receivers may be http, where everybody on the way reads what they are told"
    )
    keep_seconds: float = Field(30 * 86_400, ge=0, description="how long the history of deliveries is kept")


class RetrySettings(Section):
    max_attempts: int = Field(ge=1, le=100)
    min_delay_secs: float = Field(ge=0, le=604_800)
    backoff_type: Literal["fixed", "linear", "exponential", "exponential_with_jitter"] = "fixed"


class FlowAgentSettings(Section):
    keep_days: float = Field(
        90, gt=0, le=36_500, description="how long the history of flows is kept; their logs: see dagster.keep_days"
    )
    keep_flows: int = Field(
        10, ge=1, le=1_000_000, description="last flows of each kind of each dataset that are kept for ever"
    )
    mandatory_throttling_period_secs: float = Field(
        1, ge=0, le=86_400, description="least time between the end of one run of a dataset and its next; kamu's is 60"
    )
    awaiting_step_secs: float = Field(
        1, ge=0, le=60, description="times at which flows begin are told as multiples of this; 0: as they are"
    )
    account_runs: int | None = Field(
        None, ge=1, description="runs of one account's datasets at once; default: as many as there are places"
    )
    garbage_interval_secs: float = Field(
        86_400, ge=0, le=31_536_000, description="least time between two collections of garbage; 0: none by itself"
    )
    garbage_grace_secs: float = Field(
        86_400, ge=0, le=31_536_000, description="how long files are kept that nothing leads to any more"
    )
    default_retry_policies: dict[FlowTypeName, RetrySettings] = Field(
        {},
        description="what is tried again that failed for a passing reason, by kind of flow: "
        "{dev.kamu.flow.dataset.ingest: {max_attempts: 3, min_delay_secs: 20, backoff_type: exponential}}",
    )


class LogSettings(Section):
    format: Literal["console", "json"] = Field("console", description="console: for people; json: an object per line")
    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="what is logged, and all above it; RUST_LOG says it as well"
    )
