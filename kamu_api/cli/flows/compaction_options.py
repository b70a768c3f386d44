"""How large slices may get, as commands are told."""

from typing import TYPE_CHECKING, Annotated

import typer

from kamu_api.cli.misuse import MisuseError

if TYPE_CHECKING:
    from kamu_assets.flows.arguments import CompactionArguments

MaxSliceSize = Annotated[
    str | None,
    typer.Option("--max-slice-size", metavar="SIZE", help="compaction: slices grow no further: 300MB, 10MiB"),
]
MaxSliceRecords = Annotated[
    int | None, typer.Option("--max-slice-records", metavar="ROWS", help="compaction: nor beyond so many rows")
]


def compaction_arguments(size: str | None, records: int | None) -> "CompactionArguments | None":
    """None where nothing was said."""
    from kamu_assets.flows.arguments import CompactionArguments

    given = {"max_slice_size": None if size is None else _bytes(size), "max_slice_records": records}
    said = {name: value for name, value in given.items() if value is not None}
    return CompactionArguments(**said) if said else None


def _bytes(text: str) -> int:
    from pydantic import ByteSize, TypeAdapter, ValidationError

    try:
        return int(TypeAdapter(ByteSize).validate_python(text))
    except ValidationError as error:
        raise MisuseError(f"--max-slice-size: {text!r} is no size: write 300MB, 10MiB or 300000000") from error
