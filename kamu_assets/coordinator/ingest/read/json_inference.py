"""Order of inferred columns: the reference takes the keys of each record in alphabetical order, later ones after."""

from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from kamu_assets.coordinator.ingest.errors import IngestError, TooLargeError
from kamu_assets.coordinator.ingest.limits import IngestLimits
from kamu_assets.coordinator.ingest.read.json_scanner import json_values
from kamu_assets.coordinator.ingest.read.json_text import json_text


@dataclass
class Shape:
    """The keys that values have, on all levels, in the order in which they are first seen."""

    members: "dict[str, Shape]" = field(default_factory=dict)
    # What the elements of lists look like, if there are any.
    items: "Shape | None" = None

    def add(self, value: Any) -> int:
        """One more value; tells how many fields it is the first to have."""
        if isinstance(value, dict):
            known = len(self.members)
            below = sum(self.members.setdefault(key, Shape()).add(value[key]) for key in sorted(value))
            return len(self.members) - known + below
        if isinstance(value, list):
            self.items = self.items or Shape()
            return sum(map(self.items.add, value))
        return 0

    def ordered(self, schema: pa.Schema) -> pa.Schema:
        """The same fields in the order of the reference, on all levels."""
        return pa.schema(self._ordered(list(schema)))

    def _ordered(self, fields: list[pa.Field]) -> list[pa.Field]:
        order = {key: place for place, key in enumerate(self.members)}
        fields = sorted(fields, key=lambda found: order.get(found.name, len(order)))
        return [found.with_type(self.members.get(found.name, _UNSEEN).typed(found.type)) for found in fields]

    def typed(self, kind: pa.DataType) -> pa.DataType:
        """The same type with its fields in that order."""
        if pa.types.is_struct(kind):
            return pa.struct(self._ordered([kind.field(n) for n in range(kind.num_fields)]))
        if pa.types.is_list(kind):
            items = self.items or _UNSEEN
            return pa.list_(kind.value_field.with_type(items.typed(kind.value_type)))
        return kind


_UNSEEN = Shape()


def shape_of(path: Path, *, name: str, limits: IngestLimits) -> Shape:
    """What the first records look like, as far as they can be read; refuses too many columns as soon as it sees them.

    Before DataFusion guesses: its time grows with the square of the columns.
    """
    shape, columns = Shape(), 0
    with json_text(path, name=name, limits=limits) as text:
        values = islice(json_values(text), limits.inference_records)
        while columns <= limits.max_columns:
            try:
                columns += shape.add(next(values).value)
            except (StopIteration, IngestError):
                # Whoever reads the records will tell better what is wrong with them.
                return shape
    raise TooLargeError(f"{name}: {columns} columns, more than {limits.max_columns}")
