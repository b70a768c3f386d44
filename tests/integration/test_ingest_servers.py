"""Sources on servers that are slow, forgetful, cut off or hostile, as a pull sees them."""

import logging
import re
import traceback
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from kamu_assets.coordinator.ingest.errors import (
    BadUrlError,
    FileNotAllowedError,
    SourceUnreachableError,
    TypeMismatchError,
    UnsupportedStepError,
)
from kamu_assets.coordinator.ingest.limits import FetchLimits
from kamu_assets.coordinator.ingest.poll import PollRules
from kamu_assets.coordinator.results import Updated, UpToDate
from kamu_assets.egress.policy import EgressDeniedError
from kamu_assets.errors import KamuError
from kamu_assets.odf.data import DataField, DataSchema, Int64Type, OptionType, StringType
from kamu_assets.odf.source import (
    FetchStep,
    FetchStepContainer,
    FetchStepEthereumLogs,
    FetchStepFilesGlob,
    FetchStepMqtt,
    FetchStepUrl,
    MergeStrategy,
    MergeStrategyLedger,
    MergeStrategySnapshot,
    ReadStepNdJson,
    RequestHeader,
    SourceCachingForever,
)
from tests.support.coordination import LOCAL_SERVERS
from tests.support.heart import Heart
from tests.support.polled import Polled
from tests.support.web_source import Route, WebSource

DATE = "Wed, 01 Jan 2020 10:00:00 GMT"
ROWS = ReadStepNdJson(
    schema_=DataSchema(
        fields=(DataField(name="id", type=Int64Type()), DataField(name="v", type=OptionType(inner=StringType())))
    )
)
MERGES = (MergeStrategyLedger(primary_key=("id",)), MergeStrategySnapshot(primary_key=("id",)))


@pytest.fixture
def polled(heart: Heart, tmp_path: Path) -> Polled:
    return Polled(heart, tmp_path)


def limited(**limits: float) -> PollRules:
    return PollRules(fetch=FetchLimits(**limits), egress=LOCAL_SERVERS)  # type: ignore[arg-type] # whole numbers where wanted


# FE-05: what a server can be asked by.
@pytest.mark.parametrize(
    ("route", "condition"),
    [
        (Route(b"1\n", etag='W/"one"'), ("if-none-match", 'W/"one"')),
        (Route(b"1\n", last_modified=DATE), ("if-modified-since", DATE)),
        (Route(b"1\n", etag='"one"', last_modified=DATE), ("if-none-match", '"one"')),
    ],
)
def test_a_version_is_downloaded_once(polled: Polled, web: WebSource, route: Route, condition: tuple[str, str]) -> None:
    web.routes["/n.csv"] = route
    polled.create(FetchStepUrl(url=f"{web.url}/n.csv", cache=SourceCachingForever()))

    polled.pull()
    head = polled.head

    assert polled.pull() == UpToDate()
    assert polled.head == head
    assert [answer.status for answer in web.answers] == [200, 304]
    assert web.requests[1][condition[0]] == condition[1]


# FE-05: the same bytes under another tag bring no data, but the tag is remembered.
@pytest.mark.parametrize("merge", MERGES)
def test_the_same_bytes_under_another_tag_bring_no_data(polled: Polled, web: WebSource, merge: MergeStrategy) -> None:
    polled.create(FetchStepUrl(url=f"{web.url}/n"), read=ROWS, merge=merge)
    for tag in ('"one"', '"two"'):
        web.routes["/n"] = Route(b'{"id": 1, "v": "a"}\n', etag=tag)
        polled.pull()

    assert (polled.records, len(polled.slices())) == (1, 1)
    assert polled.state is not None
    assert polled.state.value == '"two"'


# VC-12: five polls of the same rows, whatever their order and that of their columns.
@pytest.mark.parametrize("merge", MERGES)
def test_unchanged_data_adds_no_rows(polled: Polled, web: WebSource, merge: MergeStrategy) -> None:
    polled.create(FetchStepUrl(url=f"{web.url}/n"), read=ROWS, merge=merge)
    versions = [
        (b'{"id": 1, "v": "a"}\n{"id": 2, "v": "b"}\n', '"one"'),
        (b'{"id": 1, "v": "a"}\n{"id": 2, "v": "b"}\n', '"one"'),
        (b'{"v": "a", "id": 1}\n{"v": "b", "id": 2}\n', '"two"'),
        (b'{"id": 2, "v": "b"}\n{"id": 1, "v": "a"}\n', '"three"'),
        (b'{"v": "b", "id": 2}\n{"id": 1, "v": "a"}\n', '"three"'),
    ]
    blocks = []

    for content, tag in versions:
        web.routes["/n"] = Route(content, etag=tag)
        polled.pull()
        blocks.append(len(polled.events()))

    assert (polled.records, len(polled.slices())) == (2, 1)
    # The blocks of another tag hold the tag only; the same tag makes no block.
    assert [after - before for before, after in pairwise(blocks)] == [0, 1, 1, 0]


# FE-08: whatever is missing, nothing is taken, and the next pull starts anew.
@pytest.mark.parametrize(
    "route", [Route(b"1\n" * 300, length=1000, etag='"a"'), Route(b"1\n", chunked_without_end=True, etag='"a"')]
)
def test_an_answer_that_is_cut_off_is_not_taken(polled: Polled, web: WebSource, route: Route) -> None:
    web.routes["/n.csv"] = route
    polled.create(FetchStepUrl(url=f"{web.url}/n.csv"))
    head = polled.head

    with pytest.raises(SourceUnreachableError, match="truncated"):
        polled.pull()
    assert (polled.head, polled.staged()) == (head, [])
    web.routes["/n.csv"] = Route(b"1\n2\n", etag='"a"')
    result = polled.pull()

    assert isinstance(result, Updated)
    assert result.records == 2
    assert "if-none-match" not in web.requests[1]


# FE-09
def test_a_server_learns_who_asks(polled: Polled, web: WebSource) -> None:
    web.routes["/n.csv"] = Route(b"1\n", wants_agent=True)
    polled.create(FetchStepUrl(url=f"{web.url}/n.csv"))

    assert isinstance(polled.pull(), Updated)


# FE-09
def test_five_redirects_are_fine_and_fifty_are_not(polled: Polled, web: WebSource) -> None:
    web.routes |= {f"/{hop}": Route(redirect=f"/{hop + 1}") for hop in range(50)}
    web.routes["/50"] = Route(b"1\n")
    polled.create(FetchStepUrl(url=f"{web.url}/${{{{ env.HOP }}}}"))

    polled.variables["HOP"] = "0"
    with pytest.raises(SourceUnreachableError, match=r"more than 10 redirects \(setting ingest\.max_redirects\)"):
        polled.pull()
    polled.variables["HOP"] = "45"

    assert isinstance(polled.pull(), Updated)


# FE-09: a first byte that is late, and bytes that come one by one.
@pytest.mark.parametrize(
    ("route", "rules", "setting"),
    [
        (Route(b"1\n", silence_seconds=20), {"silence_seconds": 0.2}, "no data for 0.2 seconds.*fetch_timeout_seconds"),
        (Route(b"1\n" * 200, drip_seconds=0.05), {"total_seconds": 0.3}, "within 0.3 seconds.*fetch_deadline_seconds"),
        (Route(b"1\n" * 600), {"max_bytes": 1000}, "more than 1000 bytes.*max_download"),
    ],
)
def test_a_limit_is_told_by_its_setting(
    polled: Polled, web: WebSource, route: Route, rules: dict[str, float], setting: str
) -> None:
    web.routes["/n.csv"] = route
    polled.create(FetchStepUrl(url=f"{web.url}/n.csv"))
    polled.rules = limited(**rules)
    head = polled.head

    with pytest.raises(KamuError, match=setting):
        polled.pull()

    assert (polled.head, polled.state, polled.staged()) == (head, None, [])


# FE-09: the same server, with patience.
def test_a_slow_server_is_waited_for(polled: Polled, web: WebSource) -> None:
    web.routes["/n.csv"] = Route(b"1\n2\n", silence_seconds=0.4, drip_seconds=0.05)
    polled.create(FetchStepUrl(url=f"{web.url}/n.csv"))

    assert isinstance(polled.pull(), Updated)


# SE-05: a node is closed unless it is told otherwise, and says nothing of what is inside.
def test_inner_addresses_are_closed_by_default(polled: Polled, web: WebSource) -> None:
    web.routes["/n.csv"] = Route(b"inner\n")
    polled.create(FetchStepUrl(url=f"{web.url}/n.csv"))
    polled.rules = PollRules()
    head = polled.head

    with pytest.raises(EgressDeniedError, match=r"127\.0\.0\.1.*loopback.*egress\.allow") as denied:
        polled.pull()

    assert "inner" not in str(denied.value)
    assert (web.requests, polled.head, polled.state) == ([], head, None)


# SE-05, SE-08
@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("http://169.254.169.254/latest/", EgressDeniedError),
        ("http://[fd00:ec2::254]/", EgressDeniedError),
        ("file:///etc/passwd", BadUrlError),
        ("gopher://127.0.0.1/", BadUrlError),
        ("data:,1", BadUrlError),
        ("ftp://127.0.0.1/", BadUrlError),
    ],
)
def test_redirects_are_held_to_the_same_rules(
    polled: Polled, web: WebSource, target: str, error: type[KamuError]
) -> None:
    web.routes["/n.csv"] = Route(redirect=target)
    polled.create(FetchStepUrl(url=f"{web.url}/n.csv"))

    with pytest.raises(error) as refused:
        polled.pull()

    assert f"{web.url}/n.csv" in str(refused.value)


def test_a_refused_redirect_tells_where_it_led(polled: Polled, web: WebSource) -> None:
    web.routes["/n.csv"] = Route(redirect="http://169.254.169.254:8888/latest/")
    polled.create(FetchStepUrl(url=f"{web.url}/n.csv"))

    with pytest.raises(EgressDeniedError, match=r"/n\.csv \(169\.254\.169\.254 port 8888\)"):
        polled.pull()


# SE-08: files only where the operator allows.
@pytest.mark.parametrize(
    "step",
    [
        FetchStepUrl(url="file://${{ env.BASE }}/outside/n.csv"),
        FetchStepUrl(url="file://${{ env.BASE }}/inside/../outside/n.csv"),
        FetchStepUrl(url="file://${{ env.BASE }}/inside/link.csv"),
        FetchStepUrl(url="file://${{ env.BASE }}/inside/folder/n.csv"),
        FetchStepUrl(url="file:///nowhere/n.csv"),
        FetchStepFilesGlob(path="outside/*.csv"),
        FetchStepFilesGlob(path="inside/*.csv"),
        FetchStepFilesGlob(path="inside/folder/*.csv"),
        FetchStepFilesGlob(path="inside/*/../../outside/*.csv"),
        FetchStepFilesGlob(path="*/n.csv"),
    ],
)
def test_files_outside_of_the_roots_are_not_read(polled: Polled, tmp_path: Path, step: FetchStep) -> None:
    for folder in ("inside", "outside"):
        (tmp_path / folder).mkdir()
    (tmp_path / "outside/n.csv").write_text("1\n")
    (tmp_path / "inside/link.csv").symlink_to(tmp_path / "outside/n.csv")
    (tmp_path / "inside/folder").symlink_to(tmp_path / "outside")
    polled.variables["BASE"] = str(tmp_path)
    polled.create(step)
    polled.rules = replace(polled.rules, file_roots=(tmp_path / "inside",))

    with pytest.raises(FileNotAllowedError, match=r"ingest\.file_roots"):
        polled.pull()


@pytest.mark.parametrize(
    "step", [FetchStepUrl(url="file://${{ env.BASE }}/inside/n.csv"), FetchStepFilesGlob(path="inside/**/*.csv")]
)
def test_files_inside_of_the_roots_are_read(polled: Polled, tmp_path: Path, step: FetchStep) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/n.csv").write_text("1\n")
    # The root itself may be a link.
    (tmp_path / "inside").symlink_to(tmp_path / "real")
    polled.variables["BASE"] = str(tmp_path)
    polled.create(step)
    polled.rules = replace(polled.rules, file_roots=(tmp_path / "elsewhere", tmp_path / "inside"))

    assert isinstance(polled.pull(), Updated)


SECRET = "s3cr3t"


# SE-15
@pytest.mark.parametrize(
    "url",
    [
        "{web}/n.csv?token=s3cr3t",
        "{web}/n.csv?s3cr3t",
        "{user}/n.csv",
        "{web}/${{{{ env.TOKEN }}}}.csv",
        "{web}/n.csv?key=${{{{ env.TOKEN }}}}",
        "${{{{ env.TOKEN }}}}://x/y",
        "http://${{{{ env.TOKEN }}}}.invalid/n.csv",
        "http://127.0.0.1:${{{{ env.TOKEN }}}}/n.csv",
        "file:///${{{{ env.TOKEN }}}}/n.csv",
        "ftp://u:s3cr3t@127.0.0.1:9/n.csv",
        "https://127.0.0.1:{port}/${{{{ env.TOKEN }}}}",
    ],
)
@pytest.mark.parametrize(
    "route", [Route(status=401), Route(b"x\n", etag='"a"'), Route(b"1", length=9), Route(redirect="x:y")]
)
def test_no_message_or_log_line_holds_a_secret(
    polled: Polled, web: WebSource, url: str, route: Route, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for path in (f"/{SECRET}.csv", "/n.csv", f"/n.csv?key={SECRET}", f"/n.csv?token={SECRET}", f"/n.csv?{SECRET}"):
        web.routes[path] = route
    port = web.url.rpartition(":")[2]
    user = web.url.replace("://", f"://someone:{SECRET}@")
    polled.variables["TOKEN"] = SECRET
    header = RequestHeader(name="X-Key", value="${{ env.TOKEN }}")
    polled.create(FetchStepUrl(url=url.format(web=web.url, user=user, port=port), headers=(header,)))

    with pytest.raises(KamuError) as failed:
        polled.pull()

    said = "".join(traceback.format_exception(failed.value)) + caplog.text
    # Source lines of this very file stand in the traceback.
    said = "\n".join(line for line in said.splitlines() if "test_ingest_servers" not in line)
    assert SECRET not in re.sub(r"SECRET.*|.*\^\^.*", "", said)


# SE-15: a header that is no header, and one that breaks the line.
@pytest.mark.parametrize(
    ("name", "value"), [("X-Key", f"{SECRET}\r\nX: y"), ("X Key", SECRET), ("X-Key", f"ü{SECRET}")]
)
def test_a_bad_header_is_named_without_its_value(polled: Polled, web: WebSource, name: str, value: str) -> None:
    polled.variables["TOKEN"] = value
    header = RequestHeader(name=name, value="${{ env.TOKEN }}")
    polled.create(FetchStepUrl(url=f"{web.url}/n.csv", headers=(header,)))

    with pytest.raises(BadUrlError, match=f"header '{name}'") as refused:
        polled.pull()

    assert SECRET not in str(refused.value)
    assert web.requests == []


def test_user_and_password_of_a_url_are_sent_as_a_header(polled: Polled, web: WebSource) -> None:
    web.routes["/n.csv"] = Route(b"1\n")
    polled.create(FetchStepUrl(url=web.url.replace("://", "://me:pa%20ss@") + "/n.csv"))

    polled.pull()

    assert web.requests[0]["authorization"] == "Basic bWU6cGEgc3M="


def test_a_message_names_the_source_as_its_manifest_does(polled: Polled, web: WebSource) -> None:
    web.routes["/n.csv?q=1"] = Route(b"x\n", etag='"a"')
    polled.variables["SRC_URL"] = web.url
    polled.create(FetchStepUrl(url="${{ env.SRC_URL }}/n.csv?q=1"))

    with pytest.raises(TypeMismatchError, match=r"^n\.csv, line 1"):
        polled.pull()
    web.routes["/n.csv?q=1"] = Route(status=503)
    with pytest.raises(SourceUnreachableError, match=r"^\$\{\{ env\.SRC_URL \}\}/n\.csv\?…: the server answered 503"):
        polled.pull()


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (FetchStepContainer(image="alpine"), "Container is not supported: this node starts no containers"),
        (FetchStepMqtt(host="x", port=1, topics=()), "Mqtt is not supported: this node has no MQTT client"),
        (FetchStepEthereumLogs(chain_id=1), "EthereumLogs is not supported: this node has no client for blockchain"),
    ],
)
def test_what_is_missing_is_named(polled: Polled, step: FetchStep, words: str) -> None:
    polled.create(step)

    with pytest.raises(UnsupportedStepError, match=words):
        polled.pull()
