from pathlib import Path

import pytest

from kamu_assets.setting_origins import default_settings, describe_settings
from kamu_assets.settings import SettingsError, load_settings, secret_values

INGEST, POLICIES = "dev.kamu.flow.dataset.ingest", "flow_agent.default_retry_policies"
ENGINE_NAMES = "a map of lower-case names to datafusion or incremental or grpc://host:port"


def test_defaults_need_nothing_but_a_home(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)

    assert settings.http.port == 8080
    assert settings.database_url == f"sqlite:///{tmp_path}/node.db"
    assert settings.root_path == settings.derivative_path == tmp_path / "datasets"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "node.yaml").write_text("http: {port: 9000, host: 0.0.0.0}\nquery: {memory_limit: 2GiB}\n")
    monkeypatch.setenv("KAMU_NODE__HTTP__PORT", "9001")

    settings = load_settings(tmp_path)

    assert (settings.http.port, settings.http.host) == (9001, "0.0.0.0")  # noqa: S104 - a value, not a socket
    assert settings.query.memory_limit == 2 * 1024**3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http: {port: abc}", "http.port:"),
        ("http: {prot: 1}", "http.prot:"),
        ("htpp: {port: 1}", "htpp:"),
        ("http: [", "node.yaml: no YAML: line 1, column 8: "),
        ("- a", "node.yaml: must be a map of sections, such as `http: {port: 8081}`"),
        ("\0", "node.yaml: unacceptable character"),
        ("http: 3", "http: must be a map with some of host, port, not 3"),
        ("storage: {durability: maybe}", "storage.durability:"),
        ("query: {memory_limit: much}", "query.memory_limit:"),
    ],
)
def test_a_mistake_is_named_by_its_key(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "node.yaml").write_text(text)

    with pytest.raises(SettingsError) as error:
        load_settings(tmp_path)

    assert said in str(error.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("http: {port: abc}", "http.port: must be a whole number from 1 to 65535, not 'abc'"),
        ("http: {prot: 1}", "http.prot: no such setting; did you mean http.port? (there are host, port)"),
        ("http: {PORT: 1}", "http.PORT: no such setting; did you mean http.port? (there are host, port)"),
        (
            f"flow_agent: {{default_retry_policies: {{{INGEST}: {{maxAttempts: 3, min_delay_secs: x}}}}}}",
            (
                f"{POLICIES}: {INGEST}: max_attempts is missing: a whole number from 1 to 100\n"
                f"{POLICIES}: {INGEST}: min_delay_secs: must be a number from 0 to 604800, not 'x'\n"
                f"{POLICIES}: {INGEST}: maxAttempts: no such setting; did you mean max_attempts?"
                " (there are max_attempts, min_delay_secs, backoff_type)"
            ),
        ),
        ("query: {workers: 0}", "query.workers: must be a whole number from 1 to 64, not 0"),
        ("query: {time_limit_seconds: 0}", "query.time_limit_seconds: must be a number above 0, not 0"),
        ("query: {max_rows: 0}", "query.max_rows: must be a whole number from 1 to 1000000000000, not 0"),
        ("outbox: {keep_seconds: -1}", "outbox.keep_seconds: must be a number from 0 to 1000000000, not -1"),
        ("storage: {durability: maybe}", "storage.durability: must be full or fast, not 'maybe'"),
        ("engine: {names: {flink: sparrow}}", f"engine.names: must be {ENGINE_NAMES}, not 'sparrow' at flink"),
        ("egress: {allow: [1]}", "egress.allow: must be a list, each text, not 1 at 0"),
        ("ingest: {file_roots: 3}", "ingest.file_roots: must be a list, each a path or nothing, not 3"),
        ("ingest: {variables: {a: [s3cr3t]}}", "ingest.variables: must be a map of names of variables to secret text"),
    ],
)
def test_a_mistake_is_told_with_what_may_be_instead(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "node.yaml").write_text(text)

    with pytest.raises(SettingsError) as error:
        load_settings(tmp_path)

    assert str(error.value) == said


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("flowAgent: {}", "flow_agent"),
        ("query: {maxRows: 7}", "query.max_rows"),
        ("flow_agent: {mandatoryThrottlingPeriodSecs: 1}", "flow_agent.mandatory_throttling_period_secs"),
        ("identity: {ed25519PrivateKey: x}", "identity.ed25519_private_key"),
    ],
)
def test_spellings_of_kamu_lead_to_ours(tmp_path: Path, text: str, near: str) -> None:
    (tmp_path / "node.yaml").write_text(text)

    with pytest.raises(SettingsError, match=rf"no such setting; did you mean {near}\?"):
        load_settings(tmp_path)


def test_a_url_of_the_wrong_kind_is_not_told_with_its_password(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text("database: {url: ['postgresql://node:s3cr3t@db/node']}")

    with pytest.raises(SettingsError) as error:
        load_settings(tmp_path)

    assert str(error.value) == "database.url: must be text or nothing, not what it is"


def test_every_mistake_has_its_line(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text("http: {port: abc, prot: 1}\n")

    with pytest.raises(SettingsError) as error:
        load_settings(tmp_path)

    assert len(str(error.value).splitlines()) == 2


def test_an_empty_file_is_fine(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text("")

    assert load_settings(tmp_path).http.port == 8080


def test_an_unknown_variable_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAMU_NODE__HTPP__PORT", "1")

    with pytest.raises(SettingsError, match=r"^KAMU_NODE__HTPP__PORT: no such setting; did you mean http\? "):
        load_settings(tmp_path)


def test_engine_names_are_what_the_operator_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings(tmp_path).engine.names == {"datafusion": "datafusion", "flink": "incremental"}

    (tmp_path / "node.yaml").write_text("engine: {names: {spark: incremental}}\n")
    assert load_settings(tmp_path).engine.names == {"spark": "incremental"}

    monkeypatch.setenv("KAMU_NODE__ENGINE__NAMES", '{"risingwave": "incremental"}')
    assert "risingwave" in load_settings(tmp_path).engine.names


@pytest.mark.parametrize("names", ["{flink: sparrow}", "{Flink: incremental}"])
def test_engine_names_are_checked(tmp_path: Path, names: str) -> None:
    (tmp_path / "node.yaml").write_text(f"engine: {{names: {names}}}\n")

    with pytest.raises(SettingsError, match=r"engine\.names"):
        load_settings(tmp_path)


def test_addresses_that_sources_may_be_fetched_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "node.yaml").write_text("egress: {allow: [db.internal, 10.1.0.0/16]}\ningest: {file_roots: [/data]}\n")
    from_file = load_settings(tmp_path)
    monkeypatch.setenv("KAMU_NODE__EGRESS__ALLOW", "localhost:8000, 127.0.0.1")
    monkeypatch.setenv("KAMU_NODE__INGEST__FILE_ROOTS", '["/data", "/more"]')

    from_environment = load_settings(tmp_path)

    assert from_file.egress.allow == ("db.internal", "10.1.0.0/16")
    assert from_file.ingest.file_roots == (Path("/data"),)
    assert from_environment.egress.allow == ("localhost:8000", "127.0.0.1")
    assert from_environment.ingest.file_roots == (Path("/data"), Path("/more"))
    monkeypatch.setenv("KAMU_NODE__EGRESS__ALLOW", '["::1", "fd00::/8"]')
    assert load_settings(tmp_path).egress.allow == ("::1", "fd00::/8")


def test_a_rule_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text("egress: {allow: ['http://x']}\n")

    with pytest.raises(SettingsError, match=r"egress\.allow: .*'http://x' is no host"):
        load_settings(tmp_path)


def test_variables_of_sources_are_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "node.yaml").write_text("ingest: {variables: {TOKEN: s3cr3t, Other_1: b}}\n")
    from_file = load_settings(tmp_path)
    monkeypatch.setenv("KAMU_NODE__INGEST__VARIABLES", '{"TOKEN": "s3cr3t"}')

    from_environment = load_settings(tmp_path)

    assert list(from_file.ingest.variables) == ["TOKEN", "Other_1"]
    assert from_environment.ingest.variables["TOKEN"].get_secret_value() == "s3cr3t"
    assert "s3cr3t" not in "".join(row.value for row in describe_settings(from_environment))
    assert "s3cr3t" not in repr(from_environment)


def test_a_variable_has_a_name(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text("ingest: {variables: {'a b': c}}\n")

    with pytest.raises(SettingsError, match=r"ingest\.variables"):
        load_settings(tmp_path)


def test_every_setting_is_told_as_yaml_with_where_it_was_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "node.yaml").write_text("http: {port: 9000}\negress: {allow: ['::1']}\nstorage: {root_path: /data}\n")
    monkeypatch.setenv("KAMU_NODE__HTTP__PORT", "9001")
    monkeypatch.setenv("KAMU_NODE__DATABASE", '{"url": "postgresql://node:s3cr3t@db/node"}')
    monkeypatch.setenv("KAMU_NODE__QUERY__WORKERS", "")

    rows = {row.key: (row.value, row.source) for row in describe_settings(load_settings(tmp_path))}

    assert rows["http.port"] == ("9001", "environment")
    assert rows["database.url"] == ("postgresql://node:***@db/node", "environment")
    assert rows["egress.allow"] == ("['::1']", "node.yaml")
    assert rows["storage.root_path"] == ("/data", "node.yaml")
    assert rows["storage.derivative_path"] == ("null", "default")
    assert rows["engine.names"] == ("{datafusion: datafusion, flink: incremental}", "default")
    assert rows["query.memory_limit"] == ("1.0GiB", "default")
    assert rows["query.workers"] == ("2", "default")
    assert rows["home"] == (str(tmp_path), "command")


def test_a_home_of_nobody_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAMU_NODE_HOME", "~nobody-is-called-so/node")

    with pytest.raises(SettingsError, match="Name the node's folder with --home or KAMU_NODE_HOME"):
        load_settings()


def test_every_setting_says_what_it_means_and_what_it_may_be() -> None:
    for row in default_settings():
        assert len(row.meaning) > 10, row
        assert row.allowed not in ("", "a map"), row
        assert row.variable.startswith("KAMU_NODE_"), row


def test_the_environment_says_nothing_about_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAMU_NODE__HTTP__PORT", "9001")
    (tmp_path / "node.yaml").write_text("http: {host: '::1'}\n")

    rows = {row.key: row for row in describe_settings(load_settings(tmp_path))}

    assert (rows["http.port"].default, rows["http.host"].default) == ("8080", "127.0.0.1")
    assert {row.key: row.default for row in default_settings()} == {key: row.default for key, row in rows.items()}


def test_capacity_is_given_to_engines_that_exist(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text("engine: {capacity: {flink: 1, datafusion: 2}}\n")

    assert load_settings(tmp_path).engine.capacity == {"flink": 1, "datafusion": 2}


@pytest.mark.parametrize(
    ("capacity", "said"),
    [
        ("{spark: 1}", "no engine is called spark; engine.names has datafusion, flink"),
        ("{flink: 0}", "engine.capacity: must be .* at least 1, not 0 at flink"),
    ],
)
def test_capacity_that_makes_no_sense_is_refused(tmp_path: Path, capacity: str, said: str) -> None:
    (tmp_path / "node.yaml").write_text(f"engine: {{capacity: {capacity}}}\n")

    with pytest.raises(SettingsError, match=said):
        load_settings(tmp_path)


@pytest.mark.parametrize("seconds", ["0", "-1", ".inf", ".nan", "long"])
def test_a_time_limit_of_runs_is_a_number_above_zero(tmp_path: Path, seconds: str) -> None:
    (tmp_path / "node.yaml").write_text(f"dagster: {{run_time_limit_seconds: {seconds}}}\n")

    with pytest.raises(SettingsError, match=r"dagster\.run_time_limit_seconds"):
        load_settings(tmp_path)


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("HTTP__PORT", "soon", "http.port: must be a whole number from 1 to 65535, not 'soon' (KAMU_NODE__HTTP__PORT)"),
        ("HTTP", '{"port": "x"}', "http.port: must be a whole number from 1 to 65535, not 'x' (KAMU_NODE__HTTP)"),
        ("HTTP", "{port", "http: must be a map with some of host, port, in the environment as JSON (KAMU_NODE__HTTP)"),
        ("HTTP", "3", "http: must be a map with some of host, port, not 3 (KAMU_NODE__HTTP)"),
        (
            "ENGINE__NAMES",
            "flink",
            f"engine.names: must be {ENGINE_NAMES}, in the environment as JSON (KAMU_NODE__ENGINE__NAMES)",
        ),
        (
            "EGRESS",
            "s3cr3t",
            "egress: must be a map with some of allow, in the environment as JSON (KAMU_NODE__EGRESS)",
        ),
        (
            "HTTP__PRT",
            "1",
            "http.prt: no such setting; did you mean http.port? (there are host, port) (KAMU_NODE__HTTP__PRT)",
        ),
    ],
)
def test_a_mistake_of_the_environment_is_told_with_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    monkeypatch.setenv(f"KAMU_NODE__{variable}", value)

    with pytest.raises(SettingsError) as error:
        load_settings(tmp_path)

    assert str(error.value) == said


def test_a_path_is_the_same_wherever_a_process_was_started(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text("storage: {root_path: roots, derivative_path: /elsewhere}\n")

    settings = load_settings(tmp_path)

    assert (settings.root_path, settings.derivative_path) == (tmp_path / "roots", Path("/elsewhere"))


def test_the_redis_between_processes_is_where_the_operator_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "node.yaml").write_text("outbox: {redis_url: 'redis://:s3cr3t@cache:6380/1'}\n")
    assert load_settings(tmp_path).redis_url is None

    monkeypatch.setenv("KAMU_NODE__OUTBOX__TRANSPORT", "redis")
    assert load_settings(tmp_path).redis_url == "redis://:s3cr3t@cache:6380/1"
    assert "s3cr3t" in secret_values(load_settings(tmp_path))
    assert "s3cr3t" not in "".join(row.value for row in describe_settings(load_settings(tmp_path)))

    (tmp_path / "node.yaml").write_text("outbox: {redis_url_file: secrets/redis}\n")
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "redis").write_text("rediss://:0th3rwise@cache\n")
    assert load_settings(tmp_path).redis_url == "rediss://:0th3rwise@cache"
    assert "0th3rwise" in secret_values(load_settings(tmp_path))


NO_REDIS_URL = "must be redis://:password@host:6379/0, rediss://… with TLS or unix:///path, not what it is"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("transport: kafka", "outbox.transport: must be embedded or redis, not 'kafka'"),
        ("transport: redis", "outbox.transport: redis needs outbox.redis_url or outbox.redis_url_file"),
        (
            "redis_url: 'http://:s3cr3t@cache'",
            "outbox.redis_url: must be redis://…, rediss://… or unix://… or nothing, not what it is",
        ),
        ("redis_url: 'redis://:s3cr3t@cache:many/0', transport: redis", f"outbox.redis_url: {NO_REDIS_URL}"),
        ("redis_url: 'redis://:s3cr3t@cache/name'", f"outbox.redis_url: {NO_REDIS_URL}"),
        ("redis_url: 'redis:///0'", f"outbox.redis_url: {NO_REDIS_URL}"),
        ("redis_url: 'unix://'", f"outbox.redis_url: {NO_REDIS_URL}"),
        (
            "redis_url: 'redis://cache', redis_url_file: /run/redis",
            "outbox.redis_url_file: must be left out where outbox.redis_url is given",
        ),
    ],
)
def test_a_redis_that_cannot_be_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "node.yaml").write_text(f"outbox: {{{text}}}\n")

    with pytest.raises(SettingsError) as error:
        load_settings(tmp_path)

    assert str(error.value) == said


def test_a_file_that_has_no_url_of_a_redis_is_told(tmp_path: Path) -> None:
    (tmp_path / "node.yaml").write_text("outbox: {transport: redis, redis_url_file: redis}\n")
    settings = load_settings(tmp_path)

    with pytest.raises(SettingsError, match=r"^outbox\.redis_url_file: .*/redis: No such file or directory$"):
        _ = settings.redis_url
    (tmp_path / "redis").write_text("s3cr3t")
    with pytest.raises(SettingsError, match=r"^outbox\.redis_url_file: .*/redis: its content must be redis://") as told:
        _ = settings.redis_url

    assert "s3cr3t" not in str(told.value)
