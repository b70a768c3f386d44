"""The object stores of this package."""

from pathlib import Path

import pytest

from kamu_assets.durability import Durability
from kamu_assets.storage.local import LocalObjectStore
from kamu_assets.storage.memory import MemoryObjectStore
from kamu_assets.storage.object_store import ObjectStore
from tests.contracts.object_store import ObjectStoreContract


class TestMemory(ObjectStoreContract):
    @pytest.fixture
    def store(self) -> ObjectStore:
        return MemoryObjectStore()


class TestLocal(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return LocalObjectStore(tmp_path / "store", Durability.FULL)


class TestLocalFast(ObjectStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> ObjectStore:
        return LocalObjectStore(tmp_path / "store", Durability.FAST)
