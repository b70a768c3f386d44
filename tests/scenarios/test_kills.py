"""Every process of a node is killed while data flows; nothing acknowledged is lost, nothing happens twice."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import httpx
import pytest

from kamu_assets.flows.model import OutcomeKind
from tests.support.dagster_ui import MaterializationSeen
from tests.support.process_tree import stat_of
from tests.support.running_node import RunningNode, running_node
from tests.support.steady_pushes import SteadyPushes
from tests.support.stories import add, count, derivative, flows, live_flows, numbers, pushed_root
from tests.support.waiting import wait_until

PATIENCE = 200.0
PROCESSES = ("api", "scheduler", "worker", "catalog", "flows", "daemon", "webserver")
ROOT, *DERIVATIVES = CHAIN = ("counted", "more", "most")

pytestmark = pytest.mark.timeout(900)


def started(home: Path) -> contextlib.AbstractContextManager[RunningNode]:
    return running_node(home, storage={"durability": "fast"})


def add_chain(node: RunningNode) -> None:
    add(node, pushed_root(ROOT), *(derivative(name, of=of) for of, name in zip(CHAIN, DERIVATIVES, strict=False)))


def test_each_process_is_killed_while_data_flows(tmp_path: Path) -> None:
    with started(tmp_path) as node:
        add_chain(node)
        with SteadyPushes(node, ROOT) as pushes:
            follow(node, pushes)
            for name in PROCESSES:
                kill(node, name)
                follow(node, pushes)

        check(node, pushes)


def test_the_supervisor_is_killed_and_the_node_is_stopped_while_data_flows(tmp_path: Path) -> None:
    with started(tmp_path) as node:
        add_chain(node)
        pushes = SteadyPushes(node, ROOT)
        with pushes:
            follow(node, pushes)
            family = set(chain.from_iterable(node.families().values()))
            node.supervisor.kill()
            node.supervisor.wait()
            wait_until(lambda: not any(map(stat_of, family)), patience=PATIENCE)

    with started(tmp_path) as node, pushes:
        follow(node, pushes)
        family = set(chain.from_iterable(node.families().values()))
        node.supervisor.send_signal(signal.SIGTERM)
        assert node.supervisor.wait(PATIENCE) == 0
        assert not any(map(stat_of, family - {node.supervisor.pid}))

    with started(tmp_path) as node:
        with pushes:
            follow(node, pushes)
        check(node, pushes)


def follow(node: RunningNode, pushes: SteadyPushes) -> None:
    """Pushes are acknowledged, and what was pushed just now arrives at the end of the chain."""
    pushes.go_on()
    newest, promised = pushes.acknowledged[-1] + len(DERIVATIVES), len(pushes.acknowledged)
    # Not before there is enough: reading all of it takes time that the node needs.
    wait_until(lambda: count(node, DERIVATIVES[-1]) >= promised, patience=PATIENCE, every=0.1)
    wait_until(lambda: newest in (found(node, DERIVATIVES[-1]) or ()), patience=PATIENCE, every=0.2)


def kill(node: RunningNode, name: str) -> None:
    """End a process in the middle of something, wait for its successor."""
    if name in {"worker", "scheduler"}:
        wait_until(lambda: any(flow.started_at for flow in live_flows(node)), patience=PATIENCE)
    pid = node.all_pids()[name]
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: node.pids().get(name, pid) != pid, patience=PATIENCE)


def check(node: RunningNode, pushes: SteadyPushes) -> None:
    """The node comes to rest, and what it has then is right."""
    wait_until(lambda: is_at_rest(node), patience=PATIENCE, every=0.5)
    root = numbers(node, ROOT)
    pushes.check(root)
    for distance, name in enumerate(CHAIN):
        # The engine reads the slices of an input in the order of their hashes.
        assert sorted(numbers(node, name)) == [number + distance for number in sorted(root)]
        wait_until(lambda name=name: told(node, name)[-1:] == [len(root) - 1], patience=PATIENCE, every=0.5)  # type: ignore[misc] # mypy cannot infer lambdas with defaults
        check_materializations(node.ui.materializations(("kamu", name)), records=len(root))
    for name in DERIVATIVES:
        outcomes = {flow.outcome.kind for flow in flows(node, name) if flow.outcome}
        assert outcomes <= {OutcomeKind.SUCCESS, OutcomeKind.UP_TO_DATE}
    command = [sys.executable, "-m", "tests.support.verifier", "--walk", str(node.settings.root_path)]
    verified = subprocess.run(command, capture_output=True, text=True, check=False)
    assert verified.returncode == 0, verified.stdout
    assert f"{len(CHAIN)} sound, 0 bad" in verified.stdout


def is_at_rest(node: RunningNode) -> bool:
    """All derivatives have everything, no flow and no run is under way."""
    with contextlib.suppress(httpx.TransportError):
        sizes = {count(node, name) for name in CHAIN}
        return len(sizes) == 1 and not live_flows(node) and not node.ui.live_runs()
    return False


def found(node: RunningNode, name: str) -> list[int] | None:
    """None while nobody answers, or while the dataset has no columns yet."""
    with contextlib.suppress(httpx.TransportError, AssertionError):
        return numbers(node, name)
    return None


def told(node: RunningNode, name: str) -> list[int]:
    """The last offsets that Dagster was told of, oldest first."""
    return [end for _, end in offsets(node.ui.materializations(("kamu", name)))]


def check_materializations(events: Sequence[MaterializationSeen], *, records: int) -> None:
    """Each commit was told once: no head twice, no offset twice, none left out."""
    heads = [event.metadata["kamu/head"] for event in events]
    assert len(heads) == len(set(heads))
    told_of = offsets(events)
    assert [start for start, _ in told_of] == [0, *(end + 1 for _, end in told_of[:-1])]
    assert told_of[-1][1] == records - 1


def offsets(events: Sequence[MaterializationSeen]) -> list[tuple[int, int]]:
    found = [re.findall(r"\d+", str(event.metadata["offsets"])) for event in events if "offsets" in event.metadata]
    return [(int(start), int(end)) for start, end in found]
