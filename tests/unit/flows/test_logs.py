"""The log of a flow as its readers get it."""

from __future__ import annotations

import itertools
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamu_assets.auth.model import ANONYMOUS
from kamu_assets.clock import SystemClock
from kamu_assets.database.wakeups import Wakeups
from kamu_assets.flows.logs import service as logs
from kamu_assets.flows.logs.cleaning import DATA, LogCleaner
from kamu_assets.flows.logs.lines import START, Channel, LogPage, RunLine
from kamu_assets.flows.logs.service import AttemptNotFoundError, FlowLogs
from kamu_assets.flows.logs.source_secrets import secrets_of_fetch
from kamu_assets.flows.model import Flow, FlowOutcome, OutcomeKind
from kamu_assets.flows.store import FlowNotFoundError
from kamu_assets.monitoring.secrets import HIDDEN
from kamu_assets.monitoring.whereabouts import PathNamer
from kamu_assets.odf.identity import DatasetID
from kamu_assets.odf.source import FetchStepMqtt, FetchStepUrl, RequestHeader
from tests.support.heart import ADMIN
from tests.unit.flows.conftest import Flows

DONE = FlowOutcome(OutcomeKind.SUCCESS)
_NUMBERS = itertools.count()


@dataclass
class ScriptedRuns:
    """What runs have said, by their id."""

    said: dict[str, list[RunLine]] = field(default_factory=dict)

    def say(self, run_id: str, text: str, channel: Channel = Channel.RUN) -> None:
        lines = self.said.setdefault(run_id, [])
        lines.append(RunLine(len(lines) + 1, SystemClock().now(), "info", text, channel))

    def lines(self, run_id: str, *, after: int, limit: int) -> Sequence[RunLine]:
        return [line for line in self.said.get(run_id, ()) if line.id > after][:limit]

    def close(self) -> None:
        return None


@dataclass
class Logged:
    flows: Flows
    runs: ScriptedRuns
    wakeups: Wakeups
    home: Path
    secrets: list[str] = field(default_factory=list)

    @property
    def logs(self) -> FlowLogs:
        return FlowLogs(
            database=self.flows.heart.database,
            flows=self.flows.service,
            datasets=self.flows.heart.datasets,
            runs=lambda: self.runs,
            wakeups=self.wakeups,
            paths=PathNamer([("<node>", self.home), (DATA, self.home / "datasets")]),
            secrets_of=lambda _: self.secrets,
        )

    def begun(self) -> Flow:
        """A flow whose first attempt runs."""
        root = self.flows.root(f"root-{next(_NUMBERS)}")
        self.flows.service.request_run(ADMIN, root.id)
        self.flows.scheduler.step()
        flow = self.flows.only(root)
        self.flows.service.run_started(str(flow.run_id))
        return flow

    def texts(self, flow: Flow, **asked: int) -> list[str]:
        return [line.text for line in self.logs.page(ADMIN, flow.id, **asked).lines]  # type: ignore[arg-type] # limits


@pytest.fixture
def logged(flows: Flows, tmp_path: Path) -> Logged:
    return Logged(flows, ScriptedRuns(), Wakeups(tmp_path / "run"), tmp_path)


def test_a_flow_tells_why_it_runs_what_was_said_and_how_it_ended(logged: Logged) -> None:
    flow = logged.begun()
    logged.runs.say(str(flow.run_id), "reading")
    logged.runs.say(str(flow.run_id), "7 rows", Channel.ENGINE)
    live = logged.logs.page(ADMIN, flow.id)
    logged.flows.service.run_finished(str(flow.run_id), FlowOutcome(OutcomeKind.FAILED, "no such host", False))

    page = logged.logs.page(ADMIN, flow.id)

    assert not live.is_over
    assert page.is_over
    assert [line.text for line in page.lines[-5:]] == [
        "attempt 1 running",
        "reading",
        "7 rows",
        "attempt 1 finished, failed: no such host",
        "completed, failed: no such host",
    ]
    assert [line.channel.value for line in page.lines[-3:]] == ["engine", "flow", "flow"]
    assert page.lines[-1].level == "error"
    assert page.lines[0].text == "created, cause: manual"


def test_pages_of_any_size_are_the_same_log(logged: Logged) -> None:
    flow = logged.begun()
    for number in range(450):
        logged.runs.say(str(flow.run_id), f"line {number}")
    logged.flows.service.run_finished(str(flow.run_id), DONE)
    whole = [line.text for line in logged.logs.page(ADMIN, flow.id, limit=10_000).lines]

    after, paged, has_more = START, [], True
    while has_more:
        page = logged.logs.page(ADMIN, flow.id, after=after, limit=77)
        paged += [line.text for line in page.lines]
        after, has_more = page.cursor, page.has_more
        assert page.is_over is not has_more

    assert paged == whole
    assert len(whole) == 450 + 7


def test_one_attempt_can_be_read_alone(logged: Logged) -> None:
    flow = logged.begun()
    logged.runs.say(str(flow.run_id), "first")
    logged.flows.service.run_finished(str(flow.run_id), DONE)

    assert logged.texts(flow, attempt=1) == [
        "attempt 1 queued", "attempt 1 running", "first", "attempt 1 finished, success",
    ]  # fmt: skip
    with pytest.raises(AttemptNotFoundError, match="had 1 attempts, no attempt 2"):
        logged.logs.page(ADMIN, flow.id, attempt=2)


def followed(logged: Logged, flow: Flow, seen: list[str], ended: threading.Event) -> None:
    for page in logged.logs.follow(ADMIN, flow.id):
        seen.extend(line.text for line in page.lines)
    ended.set()


def test_a_follower_is_woken_by_what_is_said_and_ends_with_the_flow(
    logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It would sleep through the test without taps.
    monkeypatch.setattr(logs, "IDLE_SECONDS", 240.0)
    flow = logged.begun()
    seen: list[str] = []
    ended = threading.Event()
    follower = threading.Thread(target=followed, args=(logged, flow, seen, ended), daemon=True)
    follower.start()

    for text in ("one", "two"):
        logged.runs.say(str(flow.run_id), text)
        until(partial(seen.__contains__, text), tapping=logged.wakeups)
    logged.flows.service.run_finished(str(flow.run_id), DONE)
    until(ended.is_set, tapping=logged.wakeups)

    assert seen.count("one") == seen.count("two") == 1
    assert seen[-1] == "completed, success"


def until(is_so: Callable[[], object], *, tapping: Wakeups) -> None:
    for _ in range(2_000):
        tapping.notify(logs.WAKEUP)
        if is_so():
            return
        threading.Event().wait(0.05)
    raise AssertionError("it never came")


def test_a_reader_that_goes_away_leaves_nothing_behind(logged: Logged) -> None:
    flow = logged.begun()
    following: Iterator[LogPage] = logged.logs.follow(ADMIN, flow.id)
    next(following)
    listening = logged.wakeups._listeners(logs.WAKEUP)

    following.close()  # type: ignore[attr-defined] # a generator, as whoever stops reading has

    assert len(listening) == 1
    assert not logged.wakeups._listeners(logs.WAKEUP)


def test_what_others_may_not_know_has_no_log(logged: Logged) -> None:
    with pytest.raises(FlowNotFoundError):
        logged.logs.page(ANONYMOUS, 404)


SECRET = "Zx9-planted/secret+1"
PLACES: tuple[tuple[str, Callable[[Path], str]], ...] = (
    ("home", lambda home: f"{home}/datasets/f{'0' * 68}/data/f1620"),
    ("temp", lambda _home: f"{tempfile.gettempdir()}/kamu-engine-1/part.parquet"),
    ("packages", lambda _home: f"{sysconfig.get_paths()['purelib']}/dagster/_core/run.py"),
    ("library", lambda _home: f"{sysconfig.get_paths()['stdlib']}/threading.py"),
)
WRITTEN = (
    "GET https://user:{secret}@example.org/x failed",
    "GET https://{secret}@example.org/x failed",
    "mqtt: {{'Authorization': 'Token {secret}'}}",
    'File "{path}", line 3, in read\n    open("{path}")\nValueError: {secret}',
    "thread 'main' panicked at {path}:7: token={secret}",
    "{secret}{path}\x1b[31m{secret}",
    "key {secret} of file://{path}",
)


FORBIDDEN = (tempfile.gettempdir(), sys.prefix, sysconfig.get_paths()["stdlib"], SECRET, "\x1b")


def nobody(_dataset: DatasetID) -> str | None:
    return None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(WRITTEN), st.sampled_from(PLACES), st.text(max_size=8)), min_size=1))
def test_nothing_that_was_planted_is_left(planted: list[tuple[str, tuple[str, Callable[[Path], str]], str]]) -> None:
    home = Path("/srv/node of ours")
    cleaner = LogCleaner(
        secrets=[SECRET], paths=PathNamer([("<node>", home), (DATA, home / "datasets")]), name_of=nobody
    )

    told = cleaner.clean(
        "".join(f"{around} {text.format(secret=SECRET, path=place(home))}" for text, (_, place), around in planted)
    )

    assert HIDDEN in told
    assert not [each for each in (*FORBIDDEN, str(home)) if each in told]


def test_no_channel_tells_what_was_planted(logged: Logged) -> None:
    planted = [text.format(secret=SECRET, path=place(logged.home)) for text in WRITTEN for _, place in PLACES]
    logged.secrets[:] = [SECRET]
    flow = logged.begun()
    for text in planted:
        logged.runs.say(str(flow.run_id), text, Channel.ENGINE)
        logged.runs.say(str(flow.run_id), text, Channel.RUN)
    logged.flows.service.run_finished(str(flow.run_id), FlowOutcome(OutcomeKind.FAILED, "\n".join(planted), False))

    told = "\n".join(logged.texts(flow))

    assert told.count(HIDDEN) >= 3 * len(planted)
    assert not [each for each in (*FORBIDDEN, str(logged.home)) if each in told]


def test_datasets_are_called_by_their_names() -> None:
    known, unknown = DatasetID.seeded(b"known"), DatasetID.seeded(b"unknown")
    cleaner = LogCleaner(secrets=[], paths=PathNamer([(DATA, Path("/srv/data"))]), name_of={known: "kamu/known"}.get)

    assert cleaner.clean(f"/srv/data/{known.as_multibase}/data/x") == "kamu/known/data/x"
    assert cleaner.clean(f"step ds_{known.to_bytes().hex()}.") == "step kamu/known."
    assert cleaner.clean(f"step ds_{unknown.to_bytes().hex()}") == "step <dataset>"


def test_sources_have_secrets_of_their_own() -> None:
    web = FetchStepUrl(
        url="https://me:p%40ss@example.org/x?api_key=k1&page=2",
        headers=(RequestHeader(name="Authorization", value="Token t1"), RequestHeader(name="Accept", value="text/csv")),
    )
    broker = FetchStepMqtt(host="h", port=1, username="u", password="pw", topics=())

    assert {*secrets_of_fetch(web)} == {"p%40ss", "p@ss", "k1", "Token t1", "t1"}
    assert [*secrets_of_fetch(broker)] == ["pw"]
