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
