"""What keeps a node tidy is the business of whoever leads."""

from __future__ import annotations

from pathlib import Path

import pytest

from kamu_assets.database.transaction import Transaction
from kamu_assets.definitions.chores import Chores
from kamu_assets.errors import UnavailableError
from kamu_assets.node import open_node
from kamu_assets.settings import load_settings


def test_chores_of_a_term_that_is_over_change_nothing(tmp_path: Path) -> None:
    def forbid(_tx: Transaction) -> None:
        raise UnavailableError("its term is over")

    with open_node(load_settings(tmp_path / "home")) as node:
        for chore in Chores(node, node.database.fenced(forbid)).all:
            with pytest.raises(UnavailableError, match="its term is over"):
                chore()
        for chore in Chores(node, node.database).all:
            chore()
