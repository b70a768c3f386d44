"""Whatever is thrown at REST: a precise refusal, the dataset as it was, the server alive."""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.support.manifests import derivative, pushed_root, reading
from tests.support.served_node import ServedNode, serving

GOOD = b'{"station":"s","level":1}\n'
PARQUET = "application/vnd.apache.parquet"


def parquet(**columns: list[object]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedNode]:
    limits = {"max_body": 65_536, "group_limit": 16_384}
    with serving(tmp_path_factory.mktemp("node"), ingest=limits) as node:
        columns = ("station STRING", "level BIGINT")
        for name, read in (
            ("log", reading(*columns)),
            ("csv", reading(*columns, kind="Csv", options="header: true")),
            ("json", reading(*columns, kind="Json")),
            ("parquet", reading(kind="Parquet")),
        ):
            node.create(pushed_root(f"alice/{name}", read))
        node.create(derivative("alice/sum", "select * from log", "alice/log"))
        assert node.push("alice/log", GOOD).status_code == 200
        assert node.push("alice/parquet", parquet(station=["s"], level=[1])).status_code == 200
        yield node


@pytest.fixture(autouse=True)
def unchanged(served: ServedNode) -> Iterator[None]:
    """Every refusal leaves all datasets as they were, the node answering and no spooled body behind."""
    names = ("log", "csv", "json", "parquet", "sum")
    before = [served.head(f"alice/{name}") for name in names]
    yield
    assert [served.head(f"alice/{name}") for name in names] == before
    assert served.request("GET", "/system/health?type=readiness").json() == {"ok": True}
    assert [path for path in served.node.settings.uploads_path.rglob("*") if path.is_file()] == []


def message(answer: httpx.Response) -> str:
    text: str = answer.json()["message"]
    return text


@pytest.mark.parametrize(
    ("dataset", "media_type", "body", "told"),
    [
        ("log", None, b'{"station":"s","level":1}\n{"station"', "line 2"),
        ("log", None, b'{"station":"s","level":"high"}', "column `level`"),
        ("log", None, b"[1, 2]", "line 1"),
        ("log", None, b'{"station":"\xff\xfe","level":1}', "UTF-8"),
        ("log", None, b"\x00\x01\x02\x03", "line 1"),
        ("log", "application/json", b'[{"station":"s"', ""),
        ("log", PARQUET, b"PAR1 is not enough", ""),
        ("log", PARQUET, parquet(station=["s"], level=[1])[:-20], ""),
        ("csv", None, b"station,level\ns,1\nt,2,3\n", "line 3"),
        ("csv", None, b"station,level\ns,high\n", "column `level`"),
        ("csv", None, b'station,level\n"s,1\n', "line 2"),
        ("csv", None, b"station,level\n\xff,1\n", "UTF-8"),
        ("csv", None, gzip.compress(b"station,level\ns,1\n", mtime=0), ""),
        ("json", None, b"{", ""),
        ("json", None, b'[{"station":"s","level":"high"}]', "column `level`"),
        ("parquet", None, b"not parquet", ""),
        ("parquet", None, parquet(other=[1]), ""),
    ],
)
def test_bad_data_is_refused_with_the_place(
    served: ServedNode, dataset: str, media_type: str | None, body: bytes, told: str
) -> None:
    answer = served.push(f"alice/{dataset}", body, media_type)

    assert answer.status_code == 400
    assert message(answer)
    assert told in message(answer)


@pytest.mark.parametrize(
    "media_type",
    ["application/xml", "text/csv; charset=latin-1", "text", "a/b; c", "application/x-www-form-urlencoded", "é"],
)
def test_an_unknown_media_type_is_refused_before_the_body(served: ServedNode, media_type: str) -> None:
    headers = {"content-type": media_type.encode("latin-1")}
    answer = served.request("POST", "/alice/log/ingest", content=GOOD, headers=headers)

    assert answer.status_code == 415
    assert message(answer) == "Unsupported media type"


@pytest.mark.parametrize("moment", ["yesterday", "", "2024-13-01T00:00:00Z", "2024-01-01", "99999999999999999999"])
def test_a_bad_event_time_is_refused(served: ServedNode, moment: str) -> None:
    answer = served.push("alice/log", GOOD, None, **{"odf-event-time": moment})

    assert answer.status_code == 400
    assert "odf-event-time" in message(answer)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/alice/nope/ingest", 404),
        ("/nobody/log/ingest", 404),
        ("/alice/..%2flog/ingest", 404),
        ("/alice%2flog/ingest", 404),
        ("/alice/log%2Fingest", 404),
        ("/alice/%2e%2e/ingest", 400),
        ("/../../etc/passwd", 404),
        ("/alice/log%00/ingest", 400),
        ("/alice/l%20g/ingest", 400),
        ("/alice/%ff/ingest", 400),
        ("/alice/%F0%9F%90%8D/ingest", 400),
        ("/alice/..;/ingest", 400),
        ("/alice/log'--/ingest", 400),
        ("/did:odf:fed01/log/ingest", 400),
        (f"/alice/{'a' * 20_000}/ingest", 404),
        ("/alice/log/ingest/", 404),
        ("//log/ingest", 404),
        ("/alice/log/ingest/more", 404),
    ],
)
def test_paths_lead_nowhere_else(served: ServedNode, path: str, status: int) -> None:
    answer = served.request("POST", path, content=GOOD)

    assert answer.status_code == status


@pytest.mark.parametrize(
    ("authorization", "status", "text"),
    [
        (None, 403, ""),
        ("Bearer nope", 401, "Authentication token invalid"),
        ("bearer ka_0000", 401, "Authentication token invalid"),
        ("Bearer", 400, "Invalid Bearer token header"),
        ("Basic YTpi", 400, "Invalid Bearer token header"),
        ("", 400, "Invalid Bearer token header"),
        ("Bearer a b", 400, "Invalid Bearer token header"),
        ("Bearer é", 401, "Authentication token invalid"),
        (f"Bearer {'x' * 20_000}", 401, "Authentication token invalid"),
    ],
)
def test_a_push_needs_a_good_token(served: ServedNode, authorization: str | None, status: int, text: str) -> None:
    headers = {} if authorization is None else {"authorization": authorization.encode("latin-1")}
    answer = served.request("POST", "/alice/log/ingest", as_=None, content=GOOD, headers=headers)

    assert (answer.status_code, answer.text) == (status, text)
    assert "content-type" not in answer.headers


def test_whoever_pushes_without_a_token_is_told_how_to_send_one(served: ServedNode) -> None:
    nobody = served.request("POST", "/alice/log/ingest", as_=None, content=GOOD)
    stranger = served.request("POST", "/alice/log/ingest", as_="bob", content=GOOD)
    forged = served.request("POST", "/alice/log/ingest", as_=None, headers={"authorization": "Bearer nope"})

    # The bodies are those that clients of Kamu know.
    assert (nobody.status_code, nobody.content) == (403, b"")
    assert "Authorization: Bearer" in nobody.headers["www-authenticate"]
    assert "www-authenticate" not in stranger.headers
    assert 'error="invalid_token"' in forged.headers["www-authenticate"]


def test_only_the_owner_pushes(served: ServedNode) -> None:
    assert served.request("POST", "/alice/log/ingest", as_="bob", content=GOOD).status_code == 403
    assert served.request("DELETE", "/alice/log/tail", as_="bob").status_code == 403
    assert served.request("DELETE", "/alice/log/tail").status_code == 405


def test_a_query_takes_a_bad_token_for_nobody(served: ServedNode) -> None:
    headers = {"authorization": "Bearer nope"}

    answer = served.request("GET", "/query?query=select%201%20as%20a", as_=None, headers=headers)

    assert answer.json()["output"]["data"] == [{"a": 1}]


@pytest.mark.parametrize(
    "query",
    [
        "sourceName=nope",
        "sourceName=%00",
        "uploadToken=eyJ9",
    ],
)
def test_bad_sources_are_refused(served: ServedNode, query: str) -> None:
    answer = served.request("POST", f"/alice/log/ingest?{query}", content=GOOD)

    assert answer.status_code == 400
    assert message(answer)


_SCHEMA_FORMATS = "`ArrowJson`, `OdfJson`, `OdfYaml`, `Parquet`, `ParquetJson`"
_DATA_FORMATS = (
    "`JsonAoS`, `JsonAos`, `json-aos`, `jsonaos`, `JsonSoA`, `JsonSoa`, `json-soa`, `jsonsoa`, `JsonAoA`, `JsonAoa`,"
    " `json-aoa`, `jsonaoa`"
)


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("limit=many", "limit: invalid digit found in string"),
        ("limit=-1", "limit: invalid digit found in string"),
        ("skip=-1", "skip: invalid digit found in string"),
        ("limit=1.5", "limit: invalid digit found in string"),
        ("limit=", "limit: cannot parse integer from empty string"),
        ("limit=99999999999999999999999999", "limit: number too large to fit in target type"),
        ("limit=" + "9" * 5000, "limit: number too large to fit in target type"),
        ("dataFormat=Csv", f"dataFormat: unknown variant `Csv`, expected one of {_DATA_FORMATS}"),
        ("dataFormat=%00", f"dataFormat: unknown variant `\0`, expected one of {_DATA_FORMATS}"),
        ("schemaFormat=Avro", f"schemaFormat: unknown variant `Avro`, expected one of {_SCHEMA_FORMATS}"),
        ("limit=%ff", "limit: invalid digit found in string"),
        ("limit=1_0", "limit: invalid digit found in string"),
        ("skip=%201", "skip: invalid digit found in string"),
        ("skip=1.0", "skip: invalid digit found in string"),
        ("limit=%D9%A3", "limit: invalid digit found in string"),
        ("limit=%2B", "limit: invalid digit found in string"),
        ("limit=%2B-1", "limit: invalid digit found in string"),
    ],
)
def test_bad_parameters_are_refused_as_text(served: ServedNode, query: str, told: str) -> None:
    tail = served.request("GET", f"/alice/log/tail?{query}", as_=None)
    asked = served.request("GET", f"/query?query=select%201&{query}", as_=None)

    for answer in (tail, asked):
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
        assert answer.text == f"Failed to deserialize query string: {told}"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/query?query=select%201&limit=1&limit=2", "limit"),
        ("/query?query=select%201&query=select%202", "query"),
        ("/query?query=select%201&include=input&include=schema", "include"),
        ("/alice/log/tail?skip=1&colour=red&skip=1", "skip"),
        ("/alice/log/metadata?schemaFormat=Parquet&schemaFormat=Parquet", "schemaFormat"),
        ("/system/health?type=liveness&type=readiness", "type"),
        ("/verify?input=1&input=2&commitment={}&proof={}", "input"),
    ],
)
def test_what_is_said_twice_is_refused(served: ServedNode, path: str, name: str) -> None:
    answer = served.request("GET", path, as_=None)

    assert (answer.status_code, answer.text) == (
        400,
        f"Failed to deserialize query string: duplicate field `{name}`",
    )


def test_what_means_nothing_may_be_said_twice(served: ServedNode) -> None:
    assert served.request("GET", "/alice/log/tail?colour=red&colour=blue", as_=None).status_code == 200


@pytest.mark.parametrize("query", ["limit=5000000000", "limit=18446744073709551615", "skip=18446744073709551615"])
def test_a_page_may_be_larger_than_what_there_is(served: ServedNode, query: str) -> None:
    tail = served.request("GET", f"/alice/log/tail?{query}", as_=None)
    asked = served.request("GET", f"/query?query=select%201%20as%20a&include=input&{query}", as_=None)

    assert (tail.status_code, asked.status_code) == (200, 200)
    name, _, number = query.partition("=")
    assert asked.json()["input"][name] == int(number)
    assert asked.json()["output"]["data"] == ([{"a": 1}] if name == "limit" else [])


def test_more_rows_than_an_answer_may_have_are_refused(served: ServedNode) -> None:
    sql = "select 1 as a from generate_series(1, 100001)"

    answer = served.request("POST", "/query", json={"query": sql, "limit": 5_000_000_000, "dataFormat": "JsonAoA"})

    assert answer.status_code == 400
    assert message(answer).startswith("there are more than 100000 rows (setting query.max_rows): ask for pages")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"query":"select 1"}', None, 415),
        (b'{"query":"select 1"}', "text/plain", 415),
        (b"{", "application/json", 400),
        (b"", "application/json", 400),
        (b'{"query":"\xff"}', "application/json", 400),
        (b"[" * 100_000, "application/json", 400),
        (b"[]", "application/json", 422),
        (b"{}", "application/json", 422),
        (b'{"query":1}', "application/json", 422),
        (b'{"query":"select 1","colour":"red"}', "application/json", 422),
        (b'{"query":"select 1","limit":"1"}', "application/json", 422),
        (b'{"query":"select 1","limit":-1}', "application/json", 422),
        (b'{"query":"select 1","limit":1e400}', "application/json", 422),
        (b'{"query":"select 1","dataFormat":"Csv"}', "application/json", 422),
        (b'{"query":"select 1","dataFormat":{"a":1}}', "application/json", 422),
        (b'{"query":"select 1","queryDialect":"Sql"}', "application/json", 422),
        (b'{"query":"select 1","include":["All"]}', "application/json", 422),
        (b'{"query":"select 1","include":["Everything"]}', "application/json", 422),
        (b'{"query":"select 1","schemaFormat":"avro"}', "application/json", 422),
        (b'{"query":"select interval \'1 day\' as i","schemaFormat":"odf-json"}', "application/json", 400),
        (b'{"query":"selec 1"}', "application/json", 400),
        (b'{"query":""}', "application/json", 400),
        (b'{"query":"select 1; select 2"}', "application/json", 400),
        (b'{"query":"select 1/0"}', "application/json", 400),
        (b'{"query":"drop table \\"alice/log\\""}', "application/json", 400),
        (b'{"query":"copy (select 1) to \'/tmp/kamu-node-was-here\'"}', "application/json", 400),
        (b'{"query":"set datafusion.execution.batch_size = 1"}', "application/json", 400),
        (b'{"query":"select * from \\"alice/nope\\""}', "application/json", 400),
        (b'{"query":"select * from \'/etc/passwd\'"}', "application/json", 400),
        (b'{"query":"select \\u0000"}', "application/json", 400),
        (b'{"query":"' + b"x" * (3 << 20) + b'"}', "application/json", 413),
    ],
)
def test_bad_queries_are_refused(served: ServedNode, body: bytes, content_type: str | None, status: int) -> None:
    headers = {} if content_type is None else {"content-type": content_type}

    answer = served.request("POST", "/query", as_=None, content=body, headers=headers)

    assert answer.status_code == status
    assert answer.text


def test_the_message_of_a_query_says_what_is_wrong(served: ServedNode) -> None:
    answer = served.request("POST", "/query", json={"query": 'select * from "alice/nope"'})

    assert message(answer) == "table 'kamu.kamu.alice/nope' not found"


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/info", "GET,HEAD"),
        ("DELETE", "/query", "GET,HEAD,POST"),
        ("PUT", "/system/health", "GET,HEAD"),
        ("GET", "/alice/log/ingest", "POST"),
        ("PATCH", "/info", "GET,HEAD"),
    ],
)
def test_a_wrong_verb_tells_the_right_ones(served: ServedNode, method: str, path: str, allow: str) -> None:
    answer = served.request(method, path)

    assert (answer.status_code, answer.text, answer.headers["allow"]) == (405, "", allow)


def test_a_malformed_identity_is_refused_as_text(served: ServedNode) -> None:
    for identity in ("abc", "did:odf:fed01", "did:odf:" + "f" * 10_000, "%00", "%ff"):
        answer = served.request("GET", f"/datasets/{identity}")

        assert answer.status_code == 400
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
