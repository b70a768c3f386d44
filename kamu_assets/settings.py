"""Everything an operator can set, in one model: `node.yaml` in the node's home, overridden by the environment.

`KAMU_NODE__HTTP__PORT=9000` sets `http.port`. `kamu-node settings` prints every key with its value and meaning.
Nothing below this module reads the environment.
"""

import json
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import (
    BaseModel,
    ByteSize,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SettingsSourceError
from yaml import MarkedYAMLError, YAMLError

from kamu_assets.egress.policy import BadEgressRuleError, EgressPolicy
from kamu_assets.errors import InvalidError
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.setting_values import allowed_values, mistake_text, no_such_variable

_PREFIX = "KAMU_NODE__"
# Of a URL.
_PASSWORD = re.compile(r"(://[^:/@\s]*:)[^@/\s]*(?=@)")

MIB = 1024 * 1024
GIB = 1024 * MIB

Port = Annotated[int, Field(ge=1, le=65535)]
VariableName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
EngineName = Annotated[str, Field(pattern="^[a-z][a-z0-9_-]*$")]
OwnEngine = Literal["datafusion", "incremental"]
RemoteEngineUrl = Annotated[str, Field(pattern=r"^grpc://[^/\s]+:[0-9]{1,5}$")]


class SettingsError(InvalidError):
    """The configuration has mistakes: one line each, with the key's path."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StorageSettings(Section):
    durability: Literal["full", "fast"] = Field(
        "full", description="full: every acknowledged write is synced to disk; fast: the system decides when"
    )
    root_path: Path | None = Field(None, description="where root datasets live; default: <home>/datasets")
    derivative_path: Path | None = Field(None, description="where derivative datasets live; default: <home>/datasets")
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
    max_rows: int = Field(100_000, ge=1, description="most rows of one answer")


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
    keep_seconds: float = Field(7 * 86_400, ge=0, description="how long delivered messages are kept")


class LogSettings(Section):
    format: Literal["console", "json"] = Field("console", description="console: for people; json: an object per line")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="what is logged, and all above it")


class Settings(BaseSettings):
    """The node's configuration, whole and checked."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid", env_ignore_empty=True
    )

    home: Path = Field(description="the node's folder: datasets, database, keys, logs")
    storage: StorageSettings = StorageSettings()
    database: DatabaseSettings = DatabaseSettings()
    http: HttpSettings = HttpSettings()
    dagster: DagsterSettings = DagsterSettings()
    engine: EngineSettings = EngineSettings()
    ingest: IngestSettings = IngestSettings()
    egress: EgressSettings = EgressSettings()
    query: QuerySettings = QuerySettings()
    identity: IdentitySettings = IdentitySettings()
    outbox: OutboxSettings = OutboxSettings()
    log: LogSettings = LogSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        del dotenv_settings, file_secret_settings
        file = _file_of(init_settings)
        return (init_settings, env_settings, YamlConfigSettingsSource(settings_cls, yaml_file=file))

    @property
    def root_path(self) -> Path:
        return self.storage.root_path or self.home / "datasets"

    @property
    def derivative_path(self) -> Path:
        return self.storage.derivative_path or self.home / "datasets"

    @property
    def uploads_path(self) -> Path:
        return self.home / "uploads"

    @property
    def keys_path(self) -> Path:
        return self.home / "keys"

    @property
    def log_path(self) -> Path:
        return self.home / "log"

    @property
    def run_path(self) -> Path:
        return self.home / "run"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{self.home / 'node.db'}"


def load_settings(home: Path | None = None, **overrides: Any) -> Settings:
    """Read `node.yaml` and the environment for the node in `home`.

    Without `home`: `KAMU_NODE_HOME`, else `~/.kamu-node`. Raises `SettingsError` with one line per mistake.
    """
    place = home_folder(home)
    mistakes = _unknown_variables()
    if mistakes:
        raise SettingsError("\n".join(mistakes))
    try:
        return Settings(home=place, **overrides)
    except ValidationError as error:
        lines = [mistake_text(Settings, mistake) for mistake in error.errors()]
        # A value that fits none of several types is told once for each.
        raise SettingsError("\n".join(dict.fromkeys(lines))) from error
    except (YAMLError, SettingsSourceError, ValueError, TypeError, OSError) as error:
        raise SettingsError(f"{place / 'node.yaml'}: {file_problem(error)}") from error


def file_problem(error: Exception) -> str:
    """What is wrong with a file of settings, on one line."""
    match error:
        case MarkedYAMLError():
            mark = error.problem_mark or error.context_mark
            where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
            return f"no YAML: {where}{error.problem or error.context}"
        case YAMLError() | SettingsSourceError() | OSError() | UnicodeError():
            return " ".join(str(error).split())
        case _:
            return "must be a map of sections, such as `http: {port: 8081}`"


def home_folder(home: Path | None = None) -> Path:
    """The node's folder: `home`, else `KAMU_NODE_HOME`, else `~/.kamu-node`."""
    try:
        return (home or Path(os.environ.get("KAMU_NODE_HOME") or Path.home() / ".kamu-node")).expanduser().absolute()
    except RuntimeError as error:
        raise SettingsError(f"{error} Name the node's folder with --home or KAMU_NODE_HOME") from error


def _file_of(init_settings: PydanticBaseSettingsSource) -> Path:
    return Path(init_settings()["home"]) / "node.yaml"


def _unknown_variables() -> list[str]:
    known = list(Settings.model_fields)
    given = {name: name.removeprefix(_PREFIX).split("__")[0].lower() for name in os.environ if name.startswith(_PREFIX)}
    return [no_such_variable(name, _PREFIX, known) for name, section in given.items() if section not in known]


def begin_logging(settings: Settings, process: str) -> None:
    """Have this process log as the operator wants it."""
    from kamu_assets.monitoring.logs import configure_logging

    as_json = settings.log.format == "json"
    configure_logging(process, level=settings.log.level, as_json=as_json, secrets=secret_values(settings))


def secret_values(settings: Settings) -> list[str]:
    """What nobody should read, wherever it turns up."""
    password = urlsplit(settings.database_url).password or ""
    return [*_secrets_in(settings.model_dump()), password, unquote(password)]


def _secrets_in(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _secrets_in(each)


def adapter_config(settings: Settings) -> AdapterConfig:
    """What the Dagster adapter needs to know."""
    dagster = settings.dagster
    return AdapterConfig(
        dagster_home=settings.dagster_home,
        run_directory=settings.run_path,
        database_url=settings.database_url,
        durability=settings.storage.durability,
        node_url=_node_url(settings.http),
        host=dagster.host,
        webserver_port=dagster.webserver_port,
        catalog_port=dagster.catalog_port,
        flows_port=dagster.flows_port,
        catalog_shards=dagster.catalog_shards,
        shard_datasets=dagster.shard_datasets,
        shard_by=dagster.shard_by,
        shard_port=dagster.shard_port,
        postgres_url=dagster.postgres_url or _if_postgres(settings.database_url),
        workers=dagster.workers,
        worker_max_runs=dagster.worker_max_runs,
        run_time_limit_seconds=dagster.run_time_limit_seconds,
    )


def _if_postgres(url: str) -> str | None:
    return url if url.startswith("postgresql") else None


def _node_url(http: HttpSettings) -> str:
    # A browser cannot go to "every address of this machine".
    host = "localhost" if http.host in {"0.0.0.0", "::"} else http.host  # noqa: S104 - compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{http.port}"


class SettingRow(BaseModel):
    """One setting as an operator sees it."""

    key: str
    # Like the default as YAML, on one line.
    value: str
    source: Literal["default", "node.yaml", "environment", "command"]
    meaning: str
    # What it may be.
    allowed: str
    default: str
    variable: str


def describe_settings(settings: Settings) -> list[SettingRow]:
    """Every key with its value in force, where that was said and its meaning, from the model itself."""
    return _rows(settings, _content_of(settings.home / "node.yaml"))


def default_settings() -> list[SettingRow]:
    """The same for a node of which nothing was said."""
    return _rows(Settings.model_construct(home=Path("~/.kamu-node")), {})


def _rows(settings: Settings, file: Mapping[str, Any]) -> list[SettingRow]:
    rows = [_home_row(settings.home)]
    for name in type(settings).model_fields:
        section = getattr(settings, name)
        if isinstance(section, Section):
            rows += [_row(name, key, section, file) for key in type(section).model_fields]
    return rows


def section_of(name: str) -> type[Section] | None:
    """The model of the settings below a name."""
    field = Settings.model_fields.get(name)
    section = None if field is None else field.annotation
    return section if isinstance(section, type) and issubclass(section, Section) else None


def _home_row(home: Path) -> SettingRow:
    return SettingRow(
        key="home",
        value=_text(home),
        source="command",
        meaning=Settings.model_fields["home"].description or "",
        allowed="a path, by --home or KAMU_NODE_HOME only",
        default="~/.kamu-node",
        variable="KAMU_NODE_HOME",
    )


def _row(name: str, key: str, section: Section, file: Mapping[str, Any]) -> SettingRow:
    kind = type(section)
    return SettingRow(
        key=f"{name}.{key}",
        value=_text(getattr(section, key)),
        source=_source((name, key), file),
        meaning=kind.model_fields[key].description or "",
        allowed=allowed_values(kind, key),
        default=_text(kind.model_fields[key].default),
        variable=f"{_PREFIX}{name.upper()}__{key.upper()}",
    )


def _text(value: object) -> str:
    """As YAML, on one line."""
    text = yaml.safe_dump(_plain(value), default_flow_style=True, allow_unicode=True, width=math.inf)
    return text.removesuffix("...\n").strip()


def _plain(value: object) -> object:
    match value:
        case ByteSize():
            return value.human_readable()
        case Path() | SecretStr():
            return str(value)
        case str():
            return _PASSWORD.sub(r"\1***", value)
        case Mapping():
            return {key: _plain(each) for key, each in value.items()}
        case tuple():
            return [_plain(each) for each in value]
        case _:
            return value


def _source(path: tuple[str, ...], file: Mapping[str, Any]) -> Literal["default", "node.yaml", "environment"]:
    variable = _PREFIX + "__".join(path).upper()
    section, key = path
    for name, value in os.environ.items():
        whole = name.upper() == _PREFIX + section.upper() and key in value
        if value and (whole or f"{name.upper()}__".startswith(f"{variable}__")):
            return "environment"
    part = file.get(section)
    return "node.yaml" if isinstance(part, Mapping) and key in part else "default"


def _content_of(file: Path) -> Mapping[str, Any]:
    found = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else None
    return found if isinstance(found, Mapping) else {}
