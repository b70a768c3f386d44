"""Errors of reading are told with the dataset whose file is to blame, and only those."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from kamu_assets.datasets.damaged_slices import StoredSlice, blamed, slices_checked
from kamu_assets.datasets.errors import DamagedSliceError
from kamu_assets.engines.slices.errors import LostSliceError
from kamu_assets.engines.sql.errors import QueryFailedError
from kamu_assets.errors import KamuError
from kamu_assets.odf.identity import DatasetAlias
from kamu_assets.odf.multihash import Multihash
from tests.support.waiting import wait_until

UNREADABLE = QueryFailedError("Parquet argument error: External: snappy: corrupt input")


def a_slice(folder: Path, alias: str, *, content: bytes = b"rows") -> StoredSlice:
    path = folder / alias.rpartition("/")[2]
    path.write_bytes(content)
    return StoredSlice(DatasetAlias.parse(alias), Multihash.sha3_256(b"rows"), str(path))


def told(error: KamuError, *slices: StoredSlice, seconds: float = 60) -> str:
    return str(blamed(error, slices, seconds=seconds))


def test_the_dataset_of_the_changed_file_is_named(tmp_path: Path) -> None:
    whole, changed = a_slice(tmp_path, "kamu/a"), a_slice(tmp_path, "kamu/b", content=b"other")

    assert f"{changed.name} of kamu/b is damaged: `kamu-node verify kamu/b`" in told(UNREADABLE, whole, changed)


def test_a_lost_slice_is_found_by_its_name(tmp_path: Path) -> None:
    lost = StoredSlice(DatasetAlias.parse("kamu/a"), Multihash.sha3_256(b"lost"), str(tmp_path / "nowhere"))
    error = LostSliceError(f"/store/{lost.name}")

    # No time is needed for it: only its own file is looked at.
    assert "of kamu/a is missing" in told(error, a_slice(tmp_path, "kamu/b", content=b"?"), lost, seconds=0)


def test_what_is_not_known_to_be_damaged_is_not_blamed(tmp_path: Path) -> None:
    changed = a_slice(tmp_path, "kamu/a", content=b"other")
    of_values = QueryFailedError("Arrow error: Divide by zero error")

    assert told(of_values, changed) == str(of_values)
    assert told(UNREADABLE, a_slice(tmp_path, "kamu/b")) == str(UNREADABLE)


def test_looking_for_the_damage_ends_when_patience_does(tmp_path: Path) -> None:
    assert told(UNREADABLE, a_slice(tmp_path, "kamu/a", content=b"other"), seconds=-1) == str(UNREADABLE)


def test_work_on_a_changed_file_is_in_vain(tmp_path: Path) -> None:
    whole = a_slice(tmp_path, "kamu/a")
    changed = replace(a_slice(tmp_path, "kamu/b", content=b"other"), what="checkpoint")

    with slices_checked([whole]):
        pass
    damaged = f"checkpoint {changed.name} of kamu/b is damaged"
    with pytest.raises(DamagedSliceError, match=damaged), slices_checked([whole, changed]):
        pass


def test_only_files_that_were_touched_after_their_block_are_hashed(tmp_path: Path) -> None:
    changed = a_slice(tmp_path, "kamu/a", content=b"other")
    block = tmp_path / "block"
    block.write_bytes(b"written after the slice")
    named = replace(changed, block=str(block))

    assert named.is_untouched()
    with slices_checked([named]):
        pass
    wait_until(lambda: _touched_now(named))
    with pytest.raises(DamagedSliceError, match="is damaged"), slices_checked([named]):
        pass


def _touched_now(named: StoredSlice) -> bool:
    """Whether the clock of the file system has moved on meanwhile; a time that is set back does not hide it."""
    path = Path(named.location)
    before = path.stat()
    path.write_bytes(b"again")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    return not named.is_untouched()


def test_a_file_whose_block_is_gone_or_not_told_is_hashed(tmp_path: Path) -> None:
    whole = a_slice(tmp_path, "kamu/a")

    assert not whole.is_untouched()
    assert not replace(whole, block=str(tmp_path / "gone")).is_untouched()


def test_other_failures_of_work_are_told_as_they_are(tmp_path: Path) -> None:
    with pytest.raises(QueryFailedError, match="snappy"), slices_checked([a_slice(tmp_path, "kamu/a")]):
        raise UNREADABLE
