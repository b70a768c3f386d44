from __future__ import annotations

from collections.abc import Sequence

import pytest

from kamu_assets.auth.errors import AccountNotFoundError
from kamu_assets.auth.model import ANONYMOUS, Caller
from kamu_assets.auth.store import AccountStore
from kamu_assets.datasets.errors import CyclicDependencyError, MissingInputsError, NameCollisionError
from kamu_assets.datasets.lifecycle.snapshots import in_order
from kamu_assets.errors import InvalidError
from kamu_assets.governance.errors import AccessDeniedError, LoginRequiredError
from kamu_assets.odf.dataset import DatasetSnapshot, SetInfo, SetTransform
from kamu_assets.odf.engine import TransformInput, TransformSql
from kamu_assets.odf.identity import AccountName, DatasetAlias, DatasetKind
from kamu_assets.odf.timestamp import Timestamp
from tests.support.builders import START
from tests.support.heart import ADMIN, KAMU, Heart, account

LATER = Timestamp.parse("2024-05-01T00:00:00.123456789Z")
ALICE = Caller(account("alice"))
ROOT = """
kind: DatasetSnapshot
version: 1
content:
  name: Weather.Hourly
  kind: Root
  metadata:
    - kind: AddPushSource
      sourceName: default
      read: {kind: NdJson}
      merge: {kind: Append}
    - kind: SetInfo
      description: Hourly weather
"""


def a_derivative(name: str, *inputs: str) -> DatasetSnapshot:
    transform = SetTransform(
        inputs=tuple(TransformInput(dataset_ref=ref) for ref in inputs),
        transform=TransformSql(engine="datafusion", query="select 1"),
    )
    return DatasetSnapshot(name=DatasetAlias.parse(name), kind=DatasetKind.DERIVATIVE, metadata=(transform,))


def a_root(name: str) -> DatasetSnapshot:
    return DatasetSnapshot(name=DatasetAlias.parse(name), kind=DatasetKind.ROOT, metadata=())


def test_a_manifest_becomes_a_chain_made_at_one_moment(heart: Heart) -> None:
    entry = heart.datasets.create_from_snapshot(ADMIN, ROOT, system_time=LATER)

    blocks = [found.block for found in heart.chains.blocks(entry.id, newest_first=False)]
    assert [block.event.kind for block in blocks] == ["Seed", "AddPushSource", "SetInfo"]
    assert {block.system_time for block in blocks} == {LATER}
    assert str(entry.alias) == "kamu/Weather.Hourly"
    assert heart.volumes.root.get(f"{entry.id.as_multibase}/info/alias") == b"kamu/Weather.Hourly"
    assert heart.volumes.root.get(f"{entry.id.as_multibase}/refs/head") == str(heart.chains.head(entry.id)).encode()


def test_every_dataset_gets_its_own_identity(heart: Heart) -> None:
    first = heart.datasets.create_from_snapshot(ADMIN, a_root("first"))
    second = heart.datasets.create_from_snapshot(ADMIN, a_root("second"))

    assert first.id != second.id


def test_inputs_are_resolved_and_keep_the_name_they_were_written_with(heart: Heart) -> None:
    root = heart.datasets.create_from_snapshot(ADMIN, a_root("Weather"))

    by_name = heart.datasets.create_from_snapshot(ADMIN, a_derivative("by-name", "KAMU/weather"))
    by_id = heart.datasets.create_from_snapshot(ADMIN, a_derivative("by-id", str(root.id)))

    assert _inputs(heart, by_name.alias) == [(str(root.id), "KAMU/weather")]
    assert _inputs(heart, by_id.alias) == [(str(root.id), str(root.id))]
    assert {entry.id for entry in heart.datasets.dependents(ADMIN, root.id)} == {by_name.id, by_id.id}


def test_all_missing_inputs_are_named(heart: Heart) -> None:
    heart.datasets.create_from_snapshot(ADMIN, a_root("here"))

    with pytest.raises(MissingInputsError) as missing:
        heart.datasets.create_from_snapshot(ADMIN, a_derivative("sums", "gone", "here", "kamu/lost"))

    assert missing.value.inputs == ("gone", "kamu/lost")
    assert [str(entry.name) for entry in heart.datasets.list(ADMIN)] == ["here"]


def test_a_dataset_may_not_read_itself(heart: Heart) -> None:
    with pytest.raises(CyclicDependencyError, match="kamu/sums → kamu/sums"):
        heart.datasets.create_from_snapshot(ADMIN, a_derivative("sums", "SUMS"))


def test_a_name_is_taken_whatever_its_case(heart: Heart) -> None:
    heart.datasets.create_from_snapshot(ADMIN, a_root("weather"))

    with pytest.raises(NameCollisionError, match="kamu/WEATHER"):
        heart.datasets.create_from_snapshot(ADMIN, a_root("WEATHER"))


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "a/b/c", "/root", "..", "a\\b", "a b", "a\x00b", "", ".hidden", "ünïcode", "a/"]
)
def test_hostile_names_do_not_get_in(heart: Heart, name: str) -> None:
    with pytest.raises(InvalidError):
        heart.datasets.create_from_snapshot(ADMIN, ROOT.replace("Weather.Hourly", repr(name)))

    assert list(heart.volumes.root.list()) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("kind: SetInfo\n      description: Hourly weather", "kind: Seed"),
        ("kind: Root", "kind: Derivative"),
        ("version: 1", "version: 7"),
        ("description", "descriptoin"),
    ],
)
def test_a_manifest_that_does_not_fit_leaves_nothing_behind(heart: Heart, old: str, new: str) -> None:
    with pytest.raises(InvalidError):
        heart.datasets.create_from_snapshot(ADMIN, ROOT.replace(old, new))

    assert list(heart.volumes.root.list()) == []
    assert heart.datasets.list(ADMIN) == []


def test_a_rule_broken_by_the_last_event_leaves_nothing_behind(heart: Heart) -> None:
    polling = """
    - kind: SetPollingSource
      fetch: {kind: Url, url: "file:///x"}
      read: {kind: NdJson}
      merge: {kind: Append}
"""

    with pytest.raises(InvalidError, match="source"):
        heart.datasets.create_from_snapshot(ADMIN, ROOT.rstrip() + polling)

    assert list(heart.volumes.root.list()) == []


def test_accounts_create_for_themselves_and_admins_for_everybody(heart: Heart) -> None:
    with heart.database.transaction() as tx:
        AccountStore().ensure(tx, ALICE.account or KAMU)

    own = heart.datasets.create_from_snapshot(ALICE, a_root("mine"))
    given = heart.datasets.create_from_snapshot(ADMIN, a_root("given"), account=AccountName("Alice"))

    assert [str(own.alias), str(given.alias)] == ["alice/mine", "alice/given"]
    assert own.owner == given.owner
    with pytest.raises(AccessDeniedError):
        heart.datasets.create_from_snapshot(ALICE, a_root("kamu/theirs"))
    with pytest.raises(LoginRequiredError):
        heart.datasets.create_from_snapshot(ANONYMOUS, a_root("anything"))
    with pytest.raises(AccountNotFoundError):
        heart.datasets.create_from_snapshot(ADMIN, a_root("nobody/anything"))


def test_several_snapshots_are_created_inputs_first(heart: Heart) -> None:
    snapshots = [a_derivative("c", "b", "a"), a_derivative("b", "kamu/A"), a_root("a")]

    created = heart.datasets.create_all(ADMIN, snapshots, system_time=START)

    assert [str(entry.name) for entry in created] == ["a", "b", "c"]


def test_snapshots_that_read_each_other_are_refused_with_the_loop() -> None:
    snapshots = [a_derivative("x", "b"), a_derivative("b", "c"), a_derivative("c", "other", "b"), a_root("other")]

    with pytest.raises(CyclicDependencyError, match=r"^datasets would depend on themselves: kamu/b → kamu/c → kamu/b$"):
        in_order(snapshots, AccountName("kamu"))


def test_snapshots_with_one_name_are_refused() -> None:
    with pytest.raises(NameCollisionError, match="kamu/a"):
        in_order([a_root("b"), a_root("a"), a_root("kamu/A")], AccountName("kamu"))


def test_a_long_chain_of_snapshots_is_no_trouble() -> None:
    names = [f"d{number}" for number in range(3000)]
    chain = [a_derivative(name, read) for name, read in zip(names[1:], names, strict=False)]

    ordered = in_order([*reversed(chain), a_root("d0")], AccountName("kamu"))

    assert [str(snapshot.name) for snapshot in ordered] == names


def test_the_description_is_part_of_the_state(heart: Heart) -> None:
    entry = heart.datasets.create_from_snapshot(ADMIN, ROOT)

    assert heart.chains.state(entry.id).info == SetInfo(description="Hourly weather")


def _inputs(heart: Heart, alias: DatasetAlias) -> Sequence[tuple[str, str | None]]:
    transform = heart.chains.state(heart.datasets.resolve(ADMIN, alias).id).transform
    assert transform is not None
    return [(item.dataset_ref, item.alias) for item in transform.inputs]
