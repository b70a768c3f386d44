"""Roots and derivatives may live on volumes of their own."""

from __future__ import annotations

from pathlib import Path

from kamu_assets.coordinator.results import Updated
from kamu_assets.coordinator.service import PushData
from kamu_assets.node import open_node
from kamu_assets.query.model import QueryRequest
from kamu_assets.settings import load_settings
from tests.support.manifests import derivative, pushed_root, reading

ROOT = pushed_root("readings", reading("celsius DOUBLE"))
DERIVATIVE = derivative("warm", "select event_time, celsius from readings where celsius > 20", "kamu/readings")


def test_each_kind_of_dataset_stays_on_its_volume(tmp_path: Path) -> None:
    roots, derivatives = tmp_path / "roots", tmp_path / "derivatives"
    storage = {"root_path": roots, "derivative_path": derivatives}

    with open_node(load_settings(tmp_path / "home", storage=storage)) as node:
        admin = node.auth.admin_caller()
        root = node.datasets.create_from_snapshot(admin, ROOT)
        derivative = node.datasets.create_from_snapshot(admin, DERIVATIVE)
        node.coordinator.push(admin, root.id, PushData(b'{"celsius": 19.5}\n{"celsius": 21.5}\n'))
        pulled = node.coordinator.pull(admin, derivative.id)
        answer = node.query.query(admin, QueryRequest('select r.celsius from "kamu/readings" r, "kamu/warm" w'))

        assert isinstance(pulled, Updated)
        assert pulled.records == 1
        assert sorted(row["celsius"] for row in answer.rows()) == [19.5, 21.5]
        assert node.doctor.repair() == []
    assert [path.name for path in roots.glob("fed01*")] == [root.id.as_multibase]
    assert [path.name for path in derivatives.glob("fed01*")] == [derivative.id.as_multibase]
    assert not (tmp_path / "home" / "datasets").exists()
