"""Takes in a dataset directory for the command line, and shows how far it is."""

from pathlib import Path

from kamu_api.cli.output import ProgressLine, size_text
from kamu_assets.coordinator.adoption import AdoptOptions
from kamu_assets.coordinator.verify.model import VerifyProgress
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.node import Node
from kamu_assets.odf.identity import DatasetAlias


def adopt_directory(
    node: Node, directory: Path, alias: str | None, *, progress: ProgressLine, reads_rows: bool
) -> DatasetEntry:
    """The files are copied, then hashed, together with their rows where these are read."""

    def on_bytes(done: int, total: int) -> None:
        progress.update(done=done, total=total, note=f"files, {size_text(total)}")

    def on_rows(now: VerifyProgress) -> None:
        note = f"rows, {now.blocks_done:,} of {now.blocks_total:,} blocks"
        progress.update(done=now.bytes_done, total=now.bytes_total, note=note)

    options = AdoptOptions(
        alias=None if alias is None else DatasetAlias.parse(alias),
        reads_rows=reads_rows,
        on_bytes=on_bytes,
        on_rows=on_rows,
    )
    return node.coordinator.adopt(node.auth.admin_caller(), directory, options)
