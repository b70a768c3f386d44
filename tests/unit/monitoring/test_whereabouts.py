"""What nobody should learn of this machine from a log."""

from __future__ import annotations

import sysconfig
import tempfile
from pathlib import Path

import pytest

from kamu_assets.monitoring.whereabouts import PathNamer

HOME = Path("/srv/nodes/one of them")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (f"no such file: {HOME}/datasets/x/data/f1620", "no such file: <data>/x/data/f1620"),
        (f"{HOME}/log, {HOME}.", "<node>/log, <node>."),
        ("file:///srv/nodes/one%20of%20them/uploads/1", "file://<node>/uploads/1"),
        (f"made {tempfile.gettempdir()}/kamu-1/part", "made <temp>/kamu-1/part"),
        (f'File "{sysconfig.get_paths()["purelib"]}/dagster/x.py", line 1', 'File "<python>/dagster/x.py", line 1'),
        ("at /opt/other/lib/python3.9/site-packages/a/b.py", "at <python>/a/b.py"),
        ("/root/.cargo/registry/src/index-1/arrow-58/src/a.rs:7", "<python>/arrow-58/src/a.rs:7"),
    ],
)
def test_paths_become_names(text: str, named: str) -> None:
    assert PathNamer([("<node>", HOME), ("<data>", HOME / "datasets")]).rename(text) == named


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/tmp-files/tmpx",
        "file:///mnt/shared/cities.csv is empty",
        "select 1 / tmp from x",
        "data/tmp/x",
        f"{HOME}-other/x",
    ],
)
def test_all_else_stays_as_it_is(text: str) -> None:
    assert PathNamer([("<node>", HOME)]).rename(text) == text


def test_the_longest_paths_take_no_long_time() -> None:
    # Anything that looks again from each of its parts would take minutes.
    assert PathNamer([]).rename("/a" * 100_000 + " /tmp/x") == "/a" * 100_000 + " <temp>/x"
