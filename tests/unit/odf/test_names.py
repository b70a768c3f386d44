import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamu_assets.errors import InvalidError
from kamu_assets.odf.identity import (
    AccountName,
    DatasetAlias,
    DatasetAliasRemote,
    DatasetHandle,
    DatasetID,
    DatasetKind,
    DatasetName,
    DatasetRefPattern,
    DatasetUrl,
    NamePattern,
    RepoName,
    parse_dataset_ref,
    parse_dataset_ref_remote,
)
from tests.unit.odf.reference import vectors

names = st.from_regex(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)?(\.[A-Za-z0-9]+)?", fullmatch=True)


def is_valid(reader: type[DatasetName | NamePattern], text: str) -> bool:
    try:
        reader.parse(text)
    except InvalidError:
        return False
    return True


def test_names_and_patterns_of_the_vectors() -> None:
    readers: dict[str, type[DatasetName | NamePattern]] = {
        "dataset_name": DatasetName,
        "dataset_name_pattern": NamePattern,
    }
    for case in (case for case in vectors("names") if case["op"] in readers):
        assert is_valid(readers[case["op"]], case["input"]) == case["expected"]["valid"], case["id"]


@given(names)
def test_case_changes_the_spelling_but_not_the_name(text: str) -> None:
    upper, lower = DatasetName(text.upper()), DatasetName(text.lower())

    assert upper == lower
    assert hash(upper) == hash(lower)
    assert not upper < lower
    assert str(upper) == text.upper()


def test_names_of_different_things_are_never_equal() -> None:
    assert AccountName("kamu") != RepoName("kamu")
    assert DatasetName("b") > DatasetName("A")


@given(names, names)
def test_aliases_read_and_write_alike(account: str, name: str) -> None:
    alias = DatasetAlias.parse(f"{account}/{name}")

    assert alias == DatasetAlias(AccountName(account), DatasetName(name))
    assert DatasetAlias.parse(str(alias)) == alias
    assert DatasetAlias.parse(name) == DatasetAlias(None, DatasetName(name))


@pytest.mark.parametrize("text", ["", "/", "/a", "a/", "a/b/c", "a//b", "a_b", "../a", "a\n", "did:odf:x"])
def test_what_is_no_alias_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        DatasetAlias.parse(text)


def test_a_reference_is_an_id_or_an_alias() -> None:
    dataset_id = DatasetID.seeded(b"foo")

    assert parse_dataset_ref(str(dataset_id)) == dataset_id
    assert parse_dataset_ref("kamu/foo") == DatasetAlias.parse("kamu/foo")


@pytest.mark.parametrize(
    ("pattern", "covers"),
    [("%", True), ("kamu/net.%", True), ("NET.example%", True), ("acme/%", False), ("%.com", False)],
)
def test_a_pattern_covers_names(pattern: str, covers: bool) -> None:  # noqa: FBT001 - a parameter of a test
    handle = DatasetHandle(DatasetID.seeded(b"x"), DatasetAlias.parse("kamu/net.Example.x"), DatasetKind.ROOT)

    assert DatasetRefPattern.parse(pattern).matches(handle) is covers
    assert str(DatasetRefPattern.parse(pattern)) == pattern


def test_an_id_is_a_pattern_of_one() -> None:
    handle = DatasetHandle(DatasetID.seeded(b"x"), DatasetAlias.parse("x"), DatasetKind.ROOT)

    assert DatasetRefPattern.parse(str(handle.id)).matches(handle)


def test_remote_references() -> None:
    did = DatasetID.seeded(b"x")

    remote = parse_dataset_ref_remote("repo/acme/foo")

    assert remote == DatasetAliasRemote(RepoName("repo"), AccountName("acme"), DatasetName("foo"))
    assert str(remote) == "repo/acme/foo"
    assert str(parse_dataset_ref_remote(f"repo/{did}")) == f"repo/{did}"
    assert str(parse_dataset_ref_remote(str(did))) == str(did)
    assert parse_dataset_ref_remote("odf+https://a/b/c") == DatasetUrl("odf+https://a/b/c")
    assert DatasetUrl("odf+HTTPS://a/b/c").scheme == "odf+https"


@pytest.mark.parametrize("text", ["foo", "a/b/c/d", "https://", "://x", "a b://c", "repo/did:odf:zzz"])
def test_what_is_no_remote_reference_is_refused(text: str) -> None:
    with pytest.raises(InvalidError):
        parse_dataset_ref_remote(text)
