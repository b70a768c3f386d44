"""Whatever stands where an address should be, the refusal is an ordinary one."""

import socket
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kamu_assets.coordinator.ingest.fetch.model import FetchRequest
from kamu_assets.coordinator.ingest.fetch.steps import fetch
from kamu_assets.coordinator.ingest.limits import FetchLimits
from kamu_assets.egress.policy import EgressPolicy
from kamu_assets.errors import KamuError
from kamu_assets.odf.source import FetchStep, FetchStepFilesGlob, FetchStepUrl
from tests.support.builders import START
from tests.support.web_source import Route, WebSource, web_source

SCHEMES = st.sampled_from(["", "http://", "https://", "ftp://", "file://", "HTTP:", "//"])
PARTS = st.sampled_from(
    (*"/[]:@?#%*. -\\\0\n\räé́。⁰ab", "..", "**", "::1", "127.0.0.1", "0x7f.1", "b.c", "80", "99999", "u:p@")
)
LONG = st.sampled_from(["localhost", "xn--", "%00", "a" * 70 + ".com", "http://"])
ADDRESSES = st.builds(lambda scheme, parts: scheme + "".join(parts), SCHEMES, st.lists(PARTS | LONG, max_size=6))
SETTINGS = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def web() -> Iterator[WebSource]:
    with web_source() as source:
        yield source


@pytest.fixture(autouse=True)
def _no_name_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.getaddrinfo

    def numbers_only(host: str, port: int, family: int = 0, type: int = 0, *_: Any) -> Any:  # noqa: A002 - its name
        return real(host, port, family, type, flags=socket.AI_NUMERICHOST)

    monkeypatch.setattr(socket, "getaddrinfo", numbers_only)


def attempt(step: FetchStep, *, allow: Sequence[str] = ()) -> None:
    with tempfile.TemporaryDirectory() as folder:
        request = FetchRequest(
            previous=None,
            system_time=START,
            folder=Path(folder),
            base=Path(folder),
            limits=FetchLimits(silence_seconds=1, total_seconds=2),
            egress=EgressPolicy.allowing(allow),
            file_roots=(Path(folder),),
        )
        with pytest.raises(KamuError):
            fetch(step, request)


@SETTINGS
@given(address=ADDRESSES)
def test_any_text_as_a_url(address: str) -> None:
    attempt(FetchStepUrl(url=address))


@SETTINGS
@given(pattern=ADDRESSES)
def test_any_text_as_a_pattern(pattern: str) -> None:
    attempt(FetchStepFilesGlob(path=pattern))


@SETTINGS
@given(address=ADDRESSES.filter(lambda text: text and not set(text) & {"\n", "\r", "\0"}))
def test_any_text_as_the_target_of_a_redirect(web: WebSource, address: str) -> None:
    web.routes = {"/x": Route(redirect=address.encode().decode("latin-1"))}

    attempt(FetchStepUrl(url=f"{web.url}/x"), allow=[web.url.removeprefix("http://")])
