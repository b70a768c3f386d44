"""Objects that rows link are verified as slices are: they lie among them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import JsonValue

from kamu_assets.coordinator.adoption import AdoptOptions
from kamu_assets.coordinator.verify.model import Place, VerdictKind, VerifyProgress
from kamu_assets.datasets.errors import DamagedDatasetError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.odf.data import ExtraAttributes
from kamu_assets.odf.dataset import SetDataSchema
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.links import TYPE
from kamu_assets.odf.multihash import Multihash
from tests.support.heart import ADMIN
from tests.support.verified import VerifiedStory, a_story, flip, reading

LINK: Mapping[str, JsonValue] = {"kind": "ObjectLink", "linkType": {"kind": "Multihash"}}
CONTENT = b"a photograph"
NAME = Multihash.sha3_256(CONTENT)


def linking(story: VerifiedStory, *cities: str, link: Mapping[str, JsonValue] = LINK) -> DatasetEntry:
    """A root whose column `city` links objects, one of which is there."""
    root = story.root()
    story.push(root, [reading(1, "no link, as the schema does not say so yet")])
    schema = story.heart.chains.state(root.id).schema
    assert schema is not None
    assert schema.schema_ is not None
    extra = ExtraAttributes({TYPE: dict(link)})
    fields = [one.model_copy(update={"extra": extra}) if one.name == "city" else one for one in schema.schema_.fields]
    changed = SetDataSchema(schema_=schema.schema_.model_copy(update={"fields": tuple(fields)}))
    story.heart.committer.commit(root.id, expected_head=None, events=[changed], system_time=story.heart.clock.now())
    (story.folder(root) / "data" / str(NAME)).write_bytes(CONTENT)
    story.push(root, [reading(2, city) for city in cities])
    return root


def test_objects_that_are_there_are_valid(story: VerifiedStory) -> None:
    assert story.verify(linking(story, str(NAME), str(NAME))).is_valid


def test_a_lost_object_is_told_and_so_is_who_links_it(story: VerifiedStory) -> None:
    root = linking(story, str(NAME))
    (story.folder(root) / "data" / str(NAME)).unlink()

    (fault,) = story.verify(root).faults

    last = next(story.heart.chains.blocks(root.id))
    assert fault.kind is VerdictKind.OBJECT_NOT_FOUND
    assert fault.place == Place(last.block.sequence_number, last.block_hash, f"data/{NAME}")
    assert "column `city` of data/f1620" in fault.message


def test_a_damaged_object_is_told(story: VerifiedStory) -> None:
    root = linking(story, str(NAME))
    flip(story.folder(root) / "data" / str(NAME))

    assert story.verify(root).verdict is VerdictKind.DATA_PHYSICAL_HASH_MISMATCH


@pytest.mark.parametrize("text", ["", "../../blocks/x", "https://example.com/photo.png"])
def test_a_link_that_names_no_object_is_told(story: VerifiedStory, text: str) -> None:
    (fault,) = story.verify(linking(story, text)).faults

    assert fault.kind is VerdictKind.INVALID_LINK
    assert f"column `city` links {text!r}" in fault.message


def test_links_of_another_kind_are_not_said_to_be_verified(story: VerifiedStory) -> None:
    root = linking(story, "x", link={"kind": "ObjectLink", "linkType": {"kind": "Cid"}})

    (fault,) = story.verify(root).faults

    assert (fault.kind, fault.message[:44]) == (
        VerdictKind.INVALID_LINK,
        "column `city` links objects by Cid, not by M",
    )


def test_a_directory_with_lost_objects_is_not_adopted(story: VerifiedStory, tmp_path: Path) -> None:
    root = linking(story, str(NAME))
    (story.folder(root) / "data" / str(NAME)).unlink()
    with a_story(tmp_path / "theirs") as other, pytest.raises(DamagedDatasetError, match=f"data/{NAME} of block 5"):
        other.coordinator.adopt(ADMIN, story.folder(root), AdoptOptions(DatasetAlias.parse("taken")))


def test_adoption_hashes_each_file_once(story: VerifiedStory, tmp_path: Path) -> None:
    root = story.root()
    for day in (1, 2):
        story.push(root, [reading(day, "A")])
    first, rows = list[int](), list[VerifyProgress]()
    options = AdoptOptions(
        DatasetAlias.parse("taken"), on_bytes=lambda done, _: first.append(done), on_rows=rows.append
    )

    with a_story(tmp_path / "theirs") as other:
        other.coordinator.adopt(ADMIN, story.folder(root), options)

    assert first == []
    assert rows[-1].bytes_done == sum(path.stat().st_size for path in story.files(root))
