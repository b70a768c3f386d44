"""From one's own CSV file to a queried, verified dataset in five commands, whatever its header is like."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from kamu_api.cli.datasets.skeletons import polled_root
from kamu_assets.node import open_node
from kamu_assets.odf.serde.yaml import parse_snapshot
from kamu_assets.odf.source import ReadStepCsv
from kamu_assets.settings import load_settings
from tests.support.command_line import Home

CITIES = """city;population;founded
Ålesund;54000;1848-01-01
Voss;16000;1867-05-01
"""
# A file, and the columns that are guessed of it.
SAMPLES: dict[str, tuple[bytes, list[str]]] = {
    "spaces": (b"first name, id \nA,1\nB,2\n", ['"first name" STRING', '" id " BIGINT']),
    "twice": (b"a,b,a,a_2\n1,2,3,4\n5,6,7,8\n", ["a BIGINT", "b BIGINT", "a_3 BIGINT", "a_2 BIGINT"]),
    "nameless": (b",a,\n1,2,x\n4,5,y\n", ["column_1 BIGINT", "a BIGINT", "column_3 STRING"]),
    "letter.case": (b"Name,name\n1,x\n2,y\n", ["Name BIGINT", "name STRING"]),
    "unicode": ("städte,人口\nx,1\ny,2\n".encode(), ["städte STRING", "人口 BIGINT"]),
    "reserved": (b"select,from,table\n1,2,3\n4,5,6\n", ["select BIGINT", "from BIGINT", "table BIGINT"]),
    "yaml": (b"a: b,# c,- d,{e},yes\n1,2,3,4,5\n", [f'"{name}" BIGINT' for name in ("a: b", "# c", "- d", "{e}")]),
    "system": (b"offset,op,system_time\n1,2,x\n", ["offset BIGINT", "op BIGINT", "system_time STRING"]),
    "quotes": (b'"a ""b""","x,y"\n1,2\n', ['"a ""b""" BIGINT', '"x,y" BIGINT']),
    "new.line": (b'"a\nb",c\n1,2\n', ['"a\nb" BIGINT', "c BIGINT"]),
    "numbers": (b"2020,2021\n1,2\n", ['"2020" BIGINT', '"2021" BIGINT']),
    "one.column": (b"city\nOslo\nVoss\n", ["city STRING"]),
    "bom": (b"\xef\xbb\xbfid,name\r\n1,a\r\n2,b\r\n", ["id BIGINT", "name STRING"]),
    "semicolons": (b"id;price\n1;1,5\n2;2,5\n", ["id BIGINT", "price STRING"]),
    "tabs": (b"id\tname\n1\ta\n", ["id BIGINT", "name STRING"]),
    "iso.dates": (b"d,v\n2024-01-02,1\n2024-01-03,2\n", ["d DATE", "v BIGINT"]),
    "other.dates": (b"d,e\n31.12.2024,01/13/2024\n01.01.2025,02/01/2024\n", ["d STRING", "e STRING"]),
    "moments": (
        b"t,u\n2024-01-02 03:04:05,2024-01-02T03:04:05+02:00\n2024-01-03,2024-01-02T03:04:05Z\n",
        ["t TIMESTAMP", "u TIMESTAMP"],
    ),
    "times.of.day": (b"t\n12:30\n13:45:10\n", ["t STRING"]),
    "leading.zeros": (b"zip,v\n10115,1\n00501,2\n", ["zip STRING", "v BIGINT"]),
    "large": (b"n,m\n12345678901234567890,1e5\n2,2.5\n", ["n STRING", "m DOUBLE"]),
    "gaps": (b"a,b,c\n1,,\n,x,\n", ["a BIGINT", "b STRING", "c STRING"]),
    "late": (b"a\n" + b"1\n" * 3000 + b"x\n", ["a STRING"]),
    "no.records": (b"a,b\n", ["a STRING", "b STRING"]),
}


def test_every_step_tells_the_next(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.write("cities.csv", CITIES)
    command, answers = "kamu-node new cities --from cities.csv", list[str]()
    typed = []

    while command:
        typed.append(command)
        done = home.run(*shlex.split(command)[1:])
        assert done.code == 0, done
        answers.append(done.out)
        told = re.findall(r"`(kamu-node [^`]*)`", done.out + done.told)
        # The last of them was told together with the one before it.
        command = next(iter(told), "kamu-node verify cities" if "kamu-node sql" in command else "")

    assert [words.split()[1] for words in typed] == ["new", "add", "pull", "sql", "verify"]
    assert "Ålesund" in answers[3]
    assert answers[4].startswith("kamu/cities: valid: ")
    # Who goes on is not told again.
    assert "kamu-node" not in home.run("pull", "cities").told


def test_those_who_push_are_led_as_well(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.ok("new", "cities")

    assert "(`kamu-node ingest cities FILE` pushes data)" in home.run("add", "cities.yaml").told
    row = b'{"event_time": "2024-01-01T00:00:00Z", "city": "Oslo", "population": 700000}\n'
    assert "`kamu-node verify cities` checks it" in home.run("ingest", "cities", "--stdin", stdin=row).told
    assert home.run("--quiet", "add", "--yes", "--replace", "cities.yaml").told == ""


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, dict[str, str]]:
    """A dataset of each sample, made by manifests as they were written, and pulled."""
    home = Home(tmp_path_factory.mktemp("samples"))
    manifests = {}
    with open_node(load_settings(home.path / "home")) as node:
        for name, (content, _) in SAMPLES.items():
            home.write(f"{name}.csv", content)
            manifests[name] = polled_root(node, name, home.path / f"{name}.csv")
            home.write(f"manifests/{name}.yaml", manifests[name])
    home.ok("add", "--recursive", "manifests")
    home.ok("pull", "--all")
    return home, manifests


def test_odd_headers_give_manifests_that_work_at_once(samples: tuple[Home, dict[str, str]]) -> None:
    home, _ = samples

    verdicts = {row["dataset"].removeprefix("kamu/"): row for row in home.json("verify", "%")}

    # Of a header there is nothing to keep, but that its columns are known.
    records = {name: content.rstrip().count(b"\n") - content.count(b'\nb"') for name, (content, _) in SAMPLES.items()}
    assert {name: (row["result"], row["records"]) for name, row in verdicts.items()} == {
        name: ("valid", count) for name, count in records.items()
    }
    # As the prompt would complete it.
    names = " union all ".join(f'select count(*) as n from "{name}"' for name in SAMPLES)
    assert sum(row["n"] for row in home.json("sql", names)) == sum(records.values())


@pytest.mark.parametrize("name", SAMPLES)
def test_columns_are_those_of_the_file(samples: tuple[Home, dict[str, str]], name: str) -> None:
    [source] = [event for event in parse_snapshot(samples[1][name]).metadata if hasattr(event, "read")]

    assert isinstance(source.read, ReadStepCsv)
    assert list(source.read.ddl_schema or ())[: len(SAMPLES[name][1])] == SAMPLES[name][1]
