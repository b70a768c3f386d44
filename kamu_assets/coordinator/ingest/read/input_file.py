"""Files to read."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file to read, under the name its sender knows."""

    path: Path
    name: str
    # What its sender calls a line of it: lines may have been made of something else.
    unit: str = "line"
