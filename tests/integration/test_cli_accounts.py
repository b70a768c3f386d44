"""Names without an account are the caller's own, in every command; patterns reach all accounts."""

from __future__ import annotations

import pytest

from kamu_assets.auth.model import Account
from kamu_assets.auth.store import AccountStore
from kamu_assets.node import open_node
from kamu_assets.odf.identity import AccountID, AccountName
from kamu_assets.settings import load_settings
from tests.support.command_line import Home
from tests.support.manifests import pushed_root, reading


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """kamu/cities and alice/cities; only alice has towns."""
    home = Home(tmp_path_factory.mktemp("accounts"))
    with open_node(load_settings(home.path / "home")) as node, node.database.transaction() as tx:
        alice = Account(AccountID.seeded(b"alice"), AccountName("alice"), is_admin=False, created_at=node.clock.now())
        AccountStore().ensure(tx, alice)
    read = reading("id INT")
    for name in ("cities", "alice/cities", "alice/towns"):
        home.ok("add", home.write("one.yaml", pushed_root(name, read)))
    return home


@pytest.mark.parametrize(
    ("name", "verified"),
    [
        ("cities", ["kamu/cities"]),
        ("CITIES", ["kamu/cities"]),
        ("alice/cities", ["alice/cities"]),
        ("%ities", ["alice/cities", "kamu/cities"]),
        ("alice/%", ["alice/cities", "alice/towns"]),
    ],
)
def test_a_name_is_verified_in_one_account_and_a_pattern_in_all(home: Home, name: str, verified: list[str]) -> None:
    assert sorted(row["dataset"] for row in home.json("verify", name)) == verified


@pytest.mark.parametrize("command", [("show",), ("list",), ("pull",), ("inspect", "lineage"), ("verify",)])
def test_a_name_of_another_account_is_only_proposed(home: Home, command: tuple[str, ...]) -> None:
    told = home.refusal(*command, "towns")

    assert told.endswith("dataset towns does not exist; did you mean alice/towns? `kamu-node list` shows what there is")


def test_the_nearest_name_is_proposed(home: Home) -> None:
    assert "did you mean cities?" in home.refusal("log", "citeis")
    assert "did you mean alice/towns?" in home.refusal("tail", "alice/town")
    assert "did you mean" not in home.refusal("tail", "nothing.like.it")
