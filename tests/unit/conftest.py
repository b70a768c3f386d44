"""What unit tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.heart import Heart, open_heart


@pytest.fixture
def heart(tmp_path: Path) -> Iterator[Heart]:
    """Datasets in an empty home."""
    heart = open_heart(tmp_path)
    yield heart
    heart.database.close()
