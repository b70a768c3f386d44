"""A headless Chromium: the system's own, driven by playwright without its downloads."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_HOW = "install it (Debian: `apt-get install chromium`; or any Chromium or Google Chrome on PATH)"
# It looks at one local page and talks to nobody else.
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_PATIENCE_MILLISECONDS = 120_000
# A network that only drops what is sent must not take the time of the tests.
_INSTALL_SECONDS = 200
_IMPATIENT = ("-o", "Acquire::http::Timeout=20", "-o", "Acquire::https::Timeout=20", "-o", "Acquire::Retries=1")


@contextlib.contextmanager
def a_page() -> Iterator[Page]:
    """An empty page of a wide window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(_ARGUMENTS))
        page = browser.new_page(viewport={"width": 1920, "height": 1200})
        page.set_default_timeout(_PATIENCE_MILLISECONDS)
        yield page
        browser.close()


def chromium() -> str:
    """Path of the browser; installs it where that is possible, skips the test with the way to get it elsewhere."""
    found = _on_path()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install()
        found = _on_path()
    if found is None:
        pytest.skip(f"no Chromium on PATH; {_HOW}")
    return found


def _on_path() -> str | None:
    return next(filter(None, map(shutil.which, _NAMES)), None)


@functools.cache
def _install() -> None:
    sys.stderr.write(
        "\n*** No Chromium on PATH: installing Debian's (apt-get install chromium) for the browser tests.\n"
    )
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (("update", "-q"), ("install", "-q", "-y", "--no-install-recommends", "chromium")):
        command = ["timeout", "--kill-after=10", str(_INSTALL_SECONDS), "apt-get", *_IMPATIENT, *arguments]
        done = subprocess.run(command, env=quiet, stdin=subprocess.DEVNULL, stdout=sys.stderr, check=False)
        if done.returncode:
            sys.stderr.write(f"*** apt-get {arguments[0]} failed with code {done.returncode}\n")
            return
