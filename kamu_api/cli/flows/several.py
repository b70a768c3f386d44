"""What is done to all datasets of a pattern: those that cannot take it are left out, and named."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

from kamu_api.cli.output import remark
from kamu_assets.errors import InvalidError

if TYPE_CHECKING:
    from kamu_assets.datasets.model import DatasetEntry

Done = TypeVar("Done")


def done_to(entries: "Sequence[DatasetEntry]", do: "Callable[[DatasetEntry], Done]") -> list[Done]:
    """What came of it, where anything did; the error of the first where nothing did."""
    done: list[Done] = []
    refused: list[tuple[DatasetEntry, InvalidError]] = []
    for entry in entries:
        try:
            done.append(do(entry))
        except InvalidError as error:
            refused.append((entry, error))
    if refused and not done:
        raise refused[0][1]
    for entry, why in refused:
        remark(f"{entry.alias} is left out: {why}")
    return done
