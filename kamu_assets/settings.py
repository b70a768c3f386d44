"""Everything an operator has set, in one model: `node.yaml` in the node's home, overridden by the environment.

`KAMU_NODE__HTTP__PORT=9000` sets `http.port`. `kamu-node config list` prints every key with its value and meaning.
Nothing below this module reads the environment.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SettingsSourceError
from yaml import MarkedYAMLError, YAMLError

from kamu_assets.errors import InvalidError
from kamu_assets.orchestration.config import AdapterConfig
from kamu_assets.setting_sections import (
    DagsterSettings,
    DatabaseSettings,
    EgressSettings,
    EngineSettings,
    FlowAgentSettings,
    HttpSettings,
    IdentitySettings,
    IngestSettings,
    LogSettings,
    OutboxSettings,
    QuerySettings,
    Section,
    StorageSettings,
    WebhookSettings,
    checked_redis_url,
)
from kamu_assets.setting_values import mistake_text
from kamu_assets.setting_variables import VARIABLE_PREFIX, RustLog, variable_mistakes, variable_of


class SettingsError(InvalidError):
    """The configuration has mistakes: one line each, with the key's path."""


class Settings(BaseSettings):
    """The node's configuration, whole and checked."""

    model_config = SettingsConfigDict(
        env_prefix=VARIABLE_PREFIX, env_nested_delimiter="__", frozen=True, extra="forbid", env_ignore_empty=True
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
    webhooks: WebhookSettings = WebhookSettings()
    flow_agent: FlowAgentSettings = FlowAgentSettings()
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
        in_file = YamlConfigSettingsSource(settings_cls, yaml_file=file)
        return (init_settings, env_settings, RustLog(settings_cls), in_file)

    @property
    def root_path(self) -> Path:
        return self._placed(self.storage.root_path) or self.home / "datasets"

    @property
    def derivative_path(self) -> Path:
        return self._placed(self.storage.derivative_path) or self.home / "datasets"

    def _placed(self, path: Path | None) -> Path | None:
        """Every process of the node means the same folder, wherever it was started."""
        return None if path is None else self.home / path.expanduser()

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

    @property
    def redis_url(self) -> str | None:
        """Of the Redis between our processes, if there is one; its file is read each time."""
        if self.outbox.transport != "redis":
            return None
        file = self._placed(self.outbox.redis_url_file)
        return self.outbox.redis_url if file is None else _redis_url_in(file)


def load_settings(home: Path | None = None, **overrides: Any) -> Settings:
    """Read `node.yaml` and the environment for the node in `home`.

    Without `home`: `KAMU_NODE_HOME`, else `~/.kamu-node`. Raises `SettingsError` with one line per mistake.
    """
    place = home_folder(home)
    if mistakes := list(variable_mistakes(Settings)):
        raise SettingsError("\n".join(mistakes))
    try:
        return Settings(home=place, **overrides)
    except ValidationError as error:
        lines = [_mistake_line(mistake) for mistake in error.errors()]
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


def _redis_url_in(file: Path) -> str:
    try:
        return checked_redis_url(file.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise SettingsError(f"outbox.redis_url_file: {file}: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"outbox.redis_url_file: {file}: its content {error}") from error


def home_folder(home: Path | None = None) -> Path:
    """The node's folder: `home`, else `KAMU_NODE_HOME`, else `~/.kamu-node`."""
    try:
        return (home or Path(os.environ.get("KAMU_NODE_HOME") or Path.home() / ".kamu-node")).expanduser().absolute()
    except RuntimeError as error:
        raise SettingsError(f"{error} Name the node's folder with --home or KAMU_NODE_HOME") from error


def _file_of(init_settings: PydanticBaseSettingsSource) -> Path:
    return Path(init_settings()["home"]) / "node.yaml"


def _mistake_line(mistake: Mapping[str, Any]) -> str:
    """What is wrong, and the variable that says so where it was not the file."""
    variable = variable_of([str(part) for part in mistake["loc"][:2]])
    text = mistake_text(Settings, mistake)
    return text if variable is None else f"{text} ({variable})"


def begin_logging(settings: Settings, process: str) -> None:
    """Have this process log as the operator wants it."""
    from kamu_assets.monitoring.logs import configure_logging

    as_json = settings.log.format == "json"
    configure_logging(process, level=settings.log.level, as_json=as_json, secrets=secret_values(settings))


def secret_values(settings: Settings) -> list[str]:
    """What nobody should read, wherever it turns up."""
    urls = (settings.database_url, settings.dagster.postgres_url or "", settings.redis_url or "")
    return [*_secrets_in(settings.model_dump()), *(secret for url in urls for secret in _secrets_of(url))]


def _secrets_of(url: str) -> Iterator[str]:
    """Passwords of a database, as they are written and as they are meant."""
    parts = urlsplit(url)
    given = [value for name, value in parse_qsl(parts.query) if "pass" in name.lower()]
    for text in (parts.password or "", *given):
        yield from (text, unquote(text))


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


def section_of(name: str) -> type[Section] | None:
    """The model of the settings below a name."""
    field = Settings.model_fields.get(name)
    section = None if field is None else field.annotation
    return section if isinstance(section, type) and issubclass(section, Section) else None
