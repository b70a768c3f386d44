"""What sources of a whole node may do comes from its settings; unless told otherwise it is closed to what is inside."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kamu_assets.coordinator.ingest.errors import FileNotAllowedError, SourceUnreachableError, TooLargeError
from kamu_assets.coordinator.results import PullResult, Updated
from kamu_assets.egress.policy import EgressDeniedError
from kamu_assets.errors import KamuError
from kamu_assets.node import open_node
from kamu_assets.odf.identity import parse_dataset_ref
from kamu_assets.settings import load_settings
from tests.support.manifests import polled_root, reading
from tests.support.web_source import Route, WebSource, web_source
from tests.unit.coordinator.archives import a_gzip, a_zip


@pytest.fixture
def web() -> Iterator[WebSource]:
    with web_source() as source:
        source.routes["/n.csv"] = Route(b"1\n2\n")
        yield source


def pull(home: Path, url: str, *, prepare: str = "", **settings: Any) -> PullResult:
    """The result of one pull in a node with these settings."""
    with open_node(load_settings(home, **settings)) as node:
        admin = node.auth.admin_caller()
        read = reading("n BIGINT", kind="Csv")
        root = polled_root("numbers", f"{{kind: Url, url: '{url}'}}", read, prepare=f"[{prepare}]")
        node.datasets.create_from_snapshot(admin, root)
        return node.coordinator.pull(admin, parse_dataset_ref("numbers"))


# SE-05
def test_a_node_is_closed_to_this_machine(tmp_path: Path, web: WebSource) -> None:
    with pytest.raises(EgressDeniedError, match=r"egress\.allow"):
        pull(tmp_path, f"{web.url}/n.csv")

    assert web.requests == []


def test_a_node_opens_what_its_settings_say_and_fills_templates_from_them(tmp_path: Path, web: WebSource) -> None:
    url = web.url.replace("127.0.0.1", "${{ env.HOST }}") + "/n.csv"

    result = pull(tmp_path, url, egress={"allow": ["127.0.0.1"]}, ingest={"variables": {"HOST": "127.0.0.1"}})

    assert isinstance(result, Updated)
    assert result.records == 2


@pytest.mark.parametrize(
    ("limit", "error", "setting"),
    [
        ({"max_download": 3}, TooLargeError, "ingest.max_download"),
        ({"max_redirects": 0}, SourceUnreachableError, "ingest.max_redirects"),
        ({"fetch_timeout_seconds": 0.1}, SourceUnreachableError, "ingest.fetch_timeout_seconds"),
        ({"fetch_deadline_seconds": 0.1}, SourceUnreachableError, "ingest.fetch_deadline_seconds"),
        ({"max_unpacked": 3}, TooLargeError, "ingest.max_unpacked"),
        ({"max_archive_entries": 1}, TooLargeError, "ingest.max_archive_entries"),
        ({"max_unpack_ratio": 1}, TooLargeError, "ingest.max_unpack_ratio"),
        ({"file_roots": ["/nowhere"]}, FileNotAllowedError, "ingest.file_roots"),
    ],
)
def test_every_limit_can_be_set(
    tmp_path: Path, web: WebSource, limit: dict[str, Any], error: type[KamuError], setting: str
) -> None:
    (name,) = limit
    paths = {"max_redirects": "/elsewhere", "fetch_timeout_seconds": "/late", "fetch_deadline_seconds": "/slow"}
    path = paths.get(name, "/n.csv")
    web.routes |= {"/elsewhere": Route(redirect="/n.csv"), "/late": Route(b"1\n", silence_seconds=5)}
    web.routes["/slow"] = Route(b"1\n" * 100, drip_seconds=0.02)
    prepare = ""
    if name.startswith("max_unpack"):
        web.routes[path] = Route(a_gzip(bytes(65 << 20) if "ratio" in name else b"1\n2\n"))
        prepare = "{kind: Decompress, format: Gzip}"
    if name == "max_archive_entries":
        web.routes[path] = Route(a_zip({"a": b"1\n", "b": b"1\n"}))
        prepare = "{kind: Decompress, format: Zip}"
    url = "file:///etc/hostname" if name == "file_roots" else f"{web.url}{path}"

    with pytest.raises(error, match=setting):
        pull(tmp_path, url, prepare=prepare, egress={"allow": ["127.0.0.1"]}, ingest=limit)
