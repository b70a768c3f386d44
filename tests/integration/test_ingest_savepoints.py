"""A download that could not be ingested is kept, asked about, used again, and removed in time."""

import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from kamu_assets.coordinator.ingest.errors import SourceUnreachableError, TypeMismatchError
from kamu_assets.coordinator.ingest.fetch.savepoints import DatasetSavepoint, Savepoint, SavepointLimits
from kamu_assets.coordinator.ingest.fetch.validators import Validators
from kamu_assets.coordinator.results import Updated, UpToDate
from kamu_assets.engines.workers.limits import WorkerDiedError
from kamu_assets.odf.dataset import SetPollingSource
from kamu_assets.odf.source import FetchStepUrl, MergeStrategyAppend
from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.storage.layout import savepoint_folder
from tests.support.builders import START
from tests.support.heart import ADMIN, Heart
from tests.support.polled import NUMBERS, Polled
from tests.support.web_source import Route, WebSource

LATER = Timestamp.parse("2030-01-01T00:00:00Z")
DATE = "Wed, 01 Jan 2020 10:00:00 GMT"


@pytest.fixture
def polled(heart: Heart, web: WebSource, tmp_path: Path) -> Polled:
    found = Polled(heart, tmp_path)
    found.create(FetchStepUrl(url=f"{web.url}/n.csv"))
    return found


def kept(polled: Polled) -> list[bytes]:
    """Contents of all savepoints of the node."""
    folder = savepoint_folder(polled.heart.volumes.for_kind(polled.entry.kind), polled.entry.id)
    return [path.read_bytes() for path in folder.parent.rglob("content-*")] if folder.parent.exists() else []


def fail(polled: Polled) -> None:
    with pytest.raises(TypeMismatchError):
        polled.pull()


def mend(polled: Polled, web: WebSource) -> None:
    """Say in the manifest that the first line is a header."""
    source = SetPollingSource(
        fetch=FetchStepUrl(url=f"{web.url}/n.csv"),
        read=NUMBERS.model_copy(update={"header": True}),
        merge=MergeStrategyAppend(),
    )
    polled.heart.committer.commit(polled.entry.id, expected_head=None, events=[source], system_time=START)


def bodies_sent(web: WebSource) -> int:
    return sum(answer.status == 200 for answer in web.answers)


@pytest.mark.parametrize("route", [Route(b"n\n1\n", etag='"one"'), Route(b"n\n1\n", last_modified=DATE)])
def test_what_could_not_be_read_is_not_fetched_again(polled: Polled, web: WebSource, route: Route) -> None:
    web.routes["/n.csv"] = route
    fail(polled)
    assert (polled.state, kept(polled)) == (None, [b"n\n1\n"])

    mend(polled, web)
    result = polled.pull()

    assert isinstance(result, Updated)
    assert (result.records, bodies_sent(web), len(web.requests)) == (1, 1, 2)
    assert kept(polled) == []
    assert polled.staged() == []
    assert polled.pull() == UpToDate()


class Broken:
    """An engine that is down, or a process that is stopped in the middle."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def run(self, *_: object, **__: object) -> NoReturn:
        raise self._error


@pytest.mark.parametrize("error", [WorkerDiedError("engine", "SIGKILL"), KeyboardInterrupt()])
def test_an_engine_that_is_down_costs_no_second_download(polled: Polled, web: WebSource, error: BaseException) -> None:
    web.routes["/n.csv"] = Route(b"1\n", etag='"one"')
    polled.pool = Broken(error)
    with pytest.raises(type(error)):
        polled.pull()
    assert polled.staged() == []

    polled.pool = None

    assert isinstance(polled.pull(), Updated)
    assert bodies_sent(web) == 1


DYING = """
import os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.support.heart import open_heart
from tests.support.polled import Polled

class Killer:
    def run(self, *_, **__):
        os.kill(os.getpid(), 9)

Polled(open_heart(Path({home!r})), Path({home!r}), pool=Killer()).pull()
"""


def test_a_process_that_is_killed_costs_no_second_download(polled: Polled, web: WebSource, tmp_path: Path) -> None:
    web.routes["/n.csv"] = Route(b"1\n", etag='"one"')
    script = DYING.format(root=str(Path(__file__).parents[2]), home=str(tmp_path / "home"))

    ended = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True, text=True)

    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert isinstance(polled.pull(), Updated)
    assert [answer.status for answer in web.answers] == [200, 304]


def test_a_newer_version_takes_its_place(polled: Polled, web: WebSource) -> None:
    web.routes["/n.csv"] = Route(b"x\n", etag='"one"')
    fail(polled)

    web.routes["/n.csv"] = Route(b"1\n2\n", etag='"two"')
    result = polled.pull()

    assert isinstance(result, Updated)
    assert result.records == 2
    assert web.requests[1]["if-none-match"] == '"one"'
    assert polled.state is not None
    assert polled.state.value == '"two"'
    assert kept(polled) == []


def test_the_event_time_is_that_of_the_answer_which_says_it_is_current(polled: Polled, web: WebSource) -> None:
    web.routes["/n.csv"] = Route(b"n\n1\n", etag='"one"')
    fail(polled)

    mend(polled, web)
    polled.heart.clock.set(LATER)
    polled.pull()

    assert polled.watermark == LATER


def test_a_source_that_went_back_has_nothing_new(polled: Polled, web: WebSource) -> None:
    web.routes["/n.csv"] = Route(b"1\n", etag='"one"')
    polled.pull()
    web.routes["/n.csv"] = Route(b"x\n", etag='"two"')
    fail(polled)

    web.routes["/n.csv"] = Route(b"1\n", etag='"one"')

    assert polled.pull() == UpToDate()
    assert polled.records == 1


def test_a_server_that_speaks_of_another_version_is_asked_again(polled: Polled, web: WebSource) -> None:
    web.routes["/n.csv"] = Route(b"x\n", etag='"one"')
    fail(polled)

    web.routes["/n.csv"] = Route(status=304, etag='"two"')
    web.then["/n.csv"] = Route(b"5\n", etag='"two"')
    result = polled.pull()

    assert isinstance(result, Updated)
    assert "if-none-match" not in web.requests[2]


def test_a_source_without_memory_keeps_nothing(polled: Polled, web: WebSource) -> None:
    web.routes["/n.csv"] = Route(b"x\n")
    fail(polled)

    assert kept(polled) == []


def test_a_server_that_fails_does_not_cost_what_is_kept(polled: Polled, web: WebSource) -> None:
    web.routes["/n.csv"] = good = Route(b"n\n1\n", etag='"one"')
    fail(polled)
    web.routes["/n.csv"] = Route(status=500)
    with pytest.raises(SourceUnreachableError):
        polled.pull()

    mend(polled, web)
    web.routes["/n.csv"] = good

    assert isinstance(polled.pull(), Updated)
    assert bodies_sent(web) == 1


def test_fetch_uncacheable_fetches(polled: Polled, web: WebSource) -> None:
    web.routes["/n.csv"] = Route(b"n\n1\n", etag='"one"')
    fail(polled)

    mend(polled, web)
    polled.pull(fetch_uncacheable=True)

    assert bodies_sent(web) == 2
    assert kept(polled) == []


def test_another_address_is_another_download(polled: Polled, web: WebSource) -> None:
    web.routes["/n.csv"] = web.routes["/m.csv"] = Route(b"x\n", etag='"one"')
    fail(polled)
    source = SetPollingSource(fetch=FetchStepUrl(url=f"{web.url}/m.csv"), read=NUMBERS, merge=MergeStrategyAppend())
    polled.heart.committer.commit(polled.entry.id, expected_head=None, events=[source], system_time=START)

    fail(polled)

    assert bodies_sent(web) == 2
    assert "if-none-match" not in web.requests[1]
    assert len(kept(polled)) == 1


def test_it_goes_with_its_dataset(polled: Polled, web: WebSource) -> None:
    web.routes["/n.csv"] = Route(b"x\n", etag='"one"')
    fail(polled)

    polled.heart.datasets.delete(ADMIN, polled.entry.alias)

    assert kept(polled) == []


def test_it_does_not_outlive_its_time(polled: Polled, web: WebSource) -> None:
    web.routes["/n.csv"] = Route(b"n\n1\n", etag='"one"')
    fail(polled)

    mend(polled, web)
    polled.heart.clock.set(LATER)
    polled.rules = replace(polled.rules, savepoints=SavepointLimits(max_seconds=60))
    polled.pull()

    assert bodies_sent(web) == 2


# Below: the folder itself.


def a_savepoint(tmp_path: Path, name: str = "one", *, now: Timestamp = START, max_bytes: int = 100) -> DatasetSavepoint:
    return DatasetSavepoint(
        tmp_path / "points" / name, now=now, limits=SavepointLimits(max_bytes=max_bytes, max_seconds=10)
    )


def an_answer(tmp_path: Path, size: int = 40) -> Savepoint:
    path = tmp_path / "download"
    path.write_bytes(b"1" * size)
    return Savepoint(path, Validators(last_modified=START))


def test_what_is_kept_comes_back_whole(tmp_path: Path) -> None:
    answer = an_answer(tmp_path)
    a_savepoint(tmp_path).keep("key", answer)

    found = a_savepoint(tmp_path).find("key")

    assert found is not None
    assert (found.content.read_bytes(), found.validators) == (b"1" * 40, answer.validators)
    assert a_savepoint(tmp_path).find("other") is None
    assert a_savepoint(tmp_path, "two").find("key") is None


def test_the_oldest_make_room(tmp_path: Path) -> None:
    answer = an_answer(tmp_path)
    for second, name in enumerate("abc"):
        a_savepoint(tmp_path, name, now=Timestamp(ns=START.ns + second)).keep("key", answer)

    found = [name for name in "abc" if a_savepoint(tmp_path, name).find("key")]

    assert found == ["b", "c"]
    assert sorted(path.name for path in (tmp_path / "points").iterdir()) == ["b", "c"]


def test_what_is_too_large_is_not_kept(tmp_path: Path) -> None:
    a_savepoint(tmp_path).keep("key", an_answer(tmp_path, 101))

    assert a_savepoint(tmp_path).find("key") is None


@pytest.mark.parametrize("damage", ["cut", "gone", "no note", "half a note", "another boot"])
def test_what_is_not_whole_is_nothing(tmp_path: Path, damage: str) -> None:
    a_savepoint(tmp_path).keep("key", an_answer(tmp_path))
    folder = tmp_path / "points/one"
    (content,), note = list(folder.glob("content-*")), folder / "answer.json"
    match damage:
        case "cut":
            os.truncate(content, 39)
        case "gone":
            content.unlink()
        case "no note":
            note.unlink()
        case "half a note":
            note.write_text(note.read_text()[:30])
        case _:
            note.write_text(note.read_text().replace('"boot": "', '"boot": "x'))

    assert a_savepoint(tmp_path).find("key") is None


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, {root!r})
from kamu_assets.coordinator.ingest.fetch.validators import Validators
from kamu_assets.coordinator.ingest.fetch.savepoints import DatasetSavepoint, Savepoint, SavepointLimits
from kamu_assets.odf.timestamp import Timestamp

folder = Path({folder!r})
savepoint = DatasetSavepoint(folder / "points/one", now=Timestamp(ns={now}), limits=SavepointLimits())
calls = 0
def step(event, args):
    global calls
    if event in ("os.link", "os.rename", "os.mkdir", "os.remove", "open") and str(folder / "points") in str(args):
        calls += 1
        if calls > {limit}:
            os.kill(os.getpid(), 9)
sys.addaudithook(step)
savepoint.keep("key", Savepoint(folder / "download", Validators("one")))
"""


def test_a_kill_leaves_all_or_nothing(tmp_path: Path) -> None:
    endings = []
    root = str(Path(__file__).parents[2])
    for limit in range(10):
        folder = tmp_path / str(limit)
        folder.mkdir()
        an_answer(folder)
        script = KILLED.format(root=root, folder=str(folder), limit=limit, now=START.ns)
        code = subprocess.run([sys.executable, "-c", script], check=False).returncode
        assert code in (0, -signal.SIGKILL)
        found = a_savepoint(folder).find("key")
        assert found is None or found.content.read_bytes() == b"1" * 40
        endings.append((code, found is not None))
        a_savepoint(folder).keep("key", an_answer(folder))
        assert a_savepoint(folder).find("key") is not None
        shutil.rmtree(folder)

    assert (0, True) in endings
    assert (-signal.SIGKILL, False) in endings
    assert not any(code == 0 and not whole for code, whole in endings)
