"""Tests that hang in spite of their limit: they end, and are named, with the place where they hang."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# Seconds instead of minutes.
_CONFTEST = """
import pytest
from tests.support import last_resort

last_resort.GRACE_SECONDS = 1.0

def pytest_configure(config):
    config.pluginmanager.register(last_resort.LastResort())
"""
_HANGS = {
    "an example that is tried again": """
@given(st.integers())
def test_hangs(number):
    threading.Event().wait()
""",
    "the end of a block": """
def test_hangs():
    with ThreadPoolExecutor() as threads:
        threads.submit(threading.Event().wait).result()
""",
    "code that hears no signal": """
def test_hangs():
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    threading.Event().wait()
""",
    "what tidies up after a failure": """
@pytest.fixture
def stuck():
    yield
    threading.Event().wait()

def test_hangs(stuck):
    assert False
""",
}
_IMPORTS = """
import signal, threading
from concurrent.futures import ThreadPoolExecutor
import pytest
from hypothesis import given, strategies as st
"""


@pytest.mark.parametrize("hang", _HANGS)
def test_it_ends_and_is_told(tmp_path: Path, hang: str) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\ntimeout = 1\n")
    (tmp_path / "conftest.py").write_text(_CONFTEST)
    (tmp_path / "test_it.py").write_text(_IMPORTS + _HANGS[hang])
    command = [sys.executable, "-m", "pytest", "--rootdir", str(tmp_path), str(tmp_path), "-p", "no:cacheprovider"]
    workers = ["-n", "1", "--dist", "loadfile", "--max-worker-restart", "0"]

    done = subprocess.run([*command, *workers], capture_output=True, text=True, check=False, timeout=200)

    assert done.returncode == 1
    assert "crashed while running 'test_it.py::test_hangs'" in done.stdout
    assert "Timeout (0:00:02)!" in done.stderr
    assert "test_it.py" in done.stderr
