"""`kamu-node config`: settings shown, explained and changed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kamu_assets.settings import load_settings
from tests.support.command_line import Home

FILE = """# Of our house.
http:
  port: 9000  # 8080 is taken
  host: "127.0.0.1"

egress: {allow: [10.1.0.0/16]}  # the lab
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def content(home: Home) -> str:
    return (home.path / "home/node.yaml").read_text()


def test_one_value_changes_and_everything_else_stays(home: Home) -> None:
    home.write("home/node.yaml", FILE)

    told = home.ok("config", "set", "http.port", "9001")
    home.ok("config", "set", "query.memory_limit", "512MiB")

    assert told == f"http.port is set in {home.path}/home/node.yaml; a node reads it when it starts\n"
    assert content(home) == FILE.replace("9000", "9001") + "query:\n  memory_limit: 512MiB\n"
    assert home.ok("config", "get", "http.port") == "9001\n"
    assert load_settings(home.path / "home").query.memory_limit == 512 << 20


def test_a_home_and_its_file_are_made_when_needed(home: Home) -> None:
    home.ok("config", "set", "storage.durability", "fast")

    assert content(home) == "storage:\n  durability: fast\n"
    assert (home.path / "home/node.yaml").stat().st_mode & 0o077 == 0
    assert [file.name for file in (home.path / "home").iterdir()] == ["node.yaml"]


def test_a_file_of_comments_keeps_them(home: Home) -> None:
    home.write("home/node.yaml", "# nothing yet\n")

    home.ok("config", "set", "http.port", "9001")

    assert content(home) == "# nothing yet\nhttp:\n  port: 9001\n"


@pytest.mark.parametrize("text", ['"yes"', '"1"', '"null"', '"2024-01-01"', "a: b", '"~"'])
def test_text_stays_text(home: Home, text: str) -> None:
    wanted = text.strip('"')
    value = f'"{wanted}"'

    home.ok("config", "set", "http.host", value)

    assert load_settings(home.path / "home").http.host == wanted


def test_maps_and_lists_are_set_as_yaml(home: Home) -> None:
    home.ok("config", "set", "engine.names", "{spark: incremental}")
    home.ok("config", "set", "egress.allow", "[db.internal, 10.1.0.0/16]")

    settings = load_settings(home.path / "home")
    assert settings.engine.names == {"spark": "incremental"}
    assert settings.egress.allow == ("db.internal", "10.1.0.0/16")


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("http.port", "99999", "http.port: must be a whole number from 1 to 65535, not 99999"),
        ("http.port", "soon", "http.port: must be a whole number from 1 to 65535, not 'soon'"),
        ("storage.durability", "maybe", "storage.durability: must be full or fast, not 'maybe'"),
        ("query.memory_limit", "much", "query.memory_limit: must be a size such as 512MiB, 2GiB or a number of bytes"),
        ("http.prot", "1", "no setting is called 'http.prot' (did you mean http.port?); "),
        ("http", "1", "no setting is called 'http'"),
        ("home", "/x", "the home is no setting of its own file"),
        ("http.host", "[", "http.host: '[' is no YAML: line 1, column 2"),
        ("egress.allow", "[http://x]", "egress.allow: 'http://x' is no host"),
    ],
)
def test_what_may_not_be_is_refused_and_nothing_is_written(home: Home, key: str, value: str, told: str) -> None:
    home.write("home/node.yaml", FILE)

    assert home.refusal("config", "set", key, value).startswith(told)

    assert content(home) == FILE


def test_a_wrong_value_is_mended_with_the_command(home: Home) -> None:
    home.write("home/node.yaml", "http:\n  port: soon\n")
    assert home.refusal("list") == "http.port: must be a whole number from 1 to 65535, not 'soon'"

    home.ok("config", "set", "http.port", "9001")

    assert home.ok("config", "get", "http.port") == "9001\n"


@pytest.mark.parametrize("text", ["http: [", "- a\n", "http: 3\n"])
def test_a_file_that_cannot_be_changed_stays(home: Home, text: str) -> None:
    home.write("home/node.yaml", text)

    assert "; mend it first" in home.refusal("config", "set", "http.port", "9001")

    assert content(home) == text


def test_a_setting_is_taken_out_again(home: Home) -> None:
    home.write("home/node.yaml", FILE)

    home.ok("config", "unset", "egress.allow")
    told = home.ok("config", "unset", "egress.allow")

    assert told == f"egress.allow is not set in {home.path}/home/node.yaml\n"
    assert content(home).startswith(FILE.partition("egress")[0].rstrip())
    assert load_settings(home.path / "home").egress.allow == ()


def test_the_environment_is_said_to_win(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAMU_NODE__HTTP__PORT", "9002")

    done = home.run("config", "set", "http.port", "9001")

    assert done.told == "warning: KAMU_NODE__HTTP__PORT in the environment wins over the file\n"
    assert home.ok("config", "get", "http.port") == "9002\n"
    assert home.json("config", "get", "http.port")["from"] == "environment"


def test_a_link_stays_a_link(home: Home) -> None:
    home.write("shared.yaml", FILE)
    (home.path / "home").mkdir()
    (home.path / "home/node.yaml").symlink_to(home.path / "shared.yaml")

    home.ok("config", "set", "http.port", "9001")

    assert (home.path / "home/node.yaml").is_symlink()
    assert (home.path / "shared.yaml").read_text() == FILE.replace("9000", "9001")


def test_the_reference_tells_every_key(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = home.json("config", "list")
    monkeypatch.setenv("KAMU_NODE__HTTP__PORT", "9002")

    page = home.ok("config", "docs")

    assert re.findall(r"^### `(.*)`$", page, re.MULTILINE) == [row["key"] for row in rows]
    assert (
        "### `http.port`\n\nport of REST and the API\n\n- may be: a whole number from 1 to 65535\n"
        "- default: `8080`\n- in the environment: `KAMU_NODE__HTTP__PORT`\n"
    ) in page
    assert str(home.path) not in page
    assert page.count("\n## ") == len({row["key"].partition(".")[0] for row in rows})


def test_every_setting_has_a_meaning_and_says_what_it_may_be(home: Home) -> None:
    for row in home.json("config", "list"):
        assert len(row["meaning"]) > 10, row
        assert row["allowed"], row
        assert row["variable"].startswith("KAMU_NODE_"), row


def test_the_former_name_works(home: Home) -> None:
    assert home.json("settings", "http") == home.json("config", "list", "http")


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("ingest.variables", "{TOKEN: s3cr3t}", {"TOKEN": "**********"}),
        ("database.url", "postgresql://node:s3cr3t@db/node", "postgresql://node:***@db/node"),
        ("database.url", "postgresql://node:s3cr3t@s3cr3t@db/node", "postgresql://node:***@db/node"),
        ("database.url", "postgresql://db/node?user=a&password=s3cr3t", "postgresql://db/node?user=a&password=***"),
        ("dagster.postgres_url", "postgresql://node:s3cr3t@db/node", "postgresql://node:***@db/node"),
    ],
)
def test_secrets_are_shown_to_nobody(home: Home, key: str, value: str, shown: object) -> None:
    assert home.json("config", "set", key, value)["value"] == shown

    assert home.json("config", "get", key)["value"] == shown
    for command in ("list", "docs", "list --json", f"list {key}", f"get {key}", f"unset {key} --json"):
        done = home.run("config", *command.split())
        assert "s3cr3t" not in done.out + done.told, command
    assert "s3cr3t" not in content(home)


def test_a_secret_of_the_wrong_type_is_not_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAMU_NODE__IDENTITY__ED25519_PRIVATE_KEY", "s3cr3t")
    monkeypatch.setenv("KAMU_NODE__INGEST__VARIABLES", "s3cr3t")

    done = home.run("config", "list")

    assert done.code == 1
    assert "s3cr3t" not in done.out + done.told
