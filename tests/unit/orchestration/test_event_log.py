"""What a run costs on disk before anything happens in it."""

from pathlib import Path

from kamu_assets.orchestration.storages.event_log import NodeEventLogStorage


def test_the_file_of_a_run_has_a_page_for_each_of_its_tables_and_no_large_ones(tmp_path: Path) -> None:
    storage = NodeEventLogStorage(str(tmp_path / "history" / "runs"))

    with storage.run_connection("a-run") as connection:
        (pages,) = connection.exec_driver_sql("PRAGMA page_count").one()
    storage.dispose()

    size = Path(storage.path_for_shard("a-run")).stat().st_size
    assert size == pages * 1024 < 64 << 10


def test_a_file_of_which_a_power_cut_left_the_name_is_made_anew(tmp_path: Path) -> None:
    storage = NodeEventLogStorage(str(tmp_path / "history" / "runs"))
    Path(storage.path_for_shard("a-run")).touch()

    with storage.run_connection("a-run") as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM event_logs").scalar() == 0
    storage.dispose()


def test_events_in_a_damaged_file_can_be_deleted(tmp_path: Path) -> None:
    storage = NodeEventLogStorage(str(tmp_path / "history" / "runs"))
    path = Path(storage.path_for_shard("a-run"))
    path.write_bytes(b"no database")

    storage.delete_events("a-run")

    assert not path.exists()
    storage.dispose()
