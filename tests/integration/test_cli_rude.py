"""The program `kamu-node` where terminals, pipes and homes are not as usual: never a traceback."""

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.command_line import PROGRAM, Home
from tests.support.manifests import CITIES


def run(home: Path, redirections: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a shell that redirects its streams."""
    return subprocess.run(
        ["bash", "-c", f'"$@" {redirections}', "bash", *PROGRAM, *arguments],
        env={**os.environ, "KAMU_NODE_HOME": str(home), **environment},
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    ("redirections", "arguments", "code"),
    [
        (">&-", ("settings",), 0),
        (">&-", ("settings", "--json"), 0),
        ("2>&-", ("settings",), 0),
        ("<&-", ("sql",), 2),
        ("<&- >&-", ("sql", "select 1"), 0),
        ("| true; exit 0", ("settings", "--json"), 0),
        ("> /dev/full", ("settings",), 1),
        ("", ("settings", "--home", "~nobody-is-called-so/x"), 1),
    ],
)
def test_streams_and_homes_of_any_kind_are_no_reason_for_a_traceback(
    tmp_path: Path, redirections: str, arguments: tuple[str, ...], code: int
) -> None:
    done = run(tmp_path, redirections, *arguments)

    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.returncode == code, done


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("settings", "--json"), ("settings",)])
def test_what_nobody_reads_ends_quietly(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """As `| head` does it to a command that has more to say."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*PROGRAM, *arguments],
            env={**os.environ, "KAMU_NODE_HOME": str(tmp_path)},
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)

    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize(("more", "escape"), [((), "\\xe9"), (("--json",), "\\u00e9")])
def test_a_terminal_without_unicode_gets_escapes(tmp_path: Path, more: tuple[str, ...], escape: str) -> None:
    done = run(tmp_path / "é", "", "settings", *more, PYTHONIOENCODING="ascii")

    assert done.returncode == 0, done
    assert escape in done.stdout


def test_ctrl_c_in_the_middle_of_a_pull_ends_it_in_few_words(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as source:
        url = f"http://127.0.0.1:{source.getsockname()[1]}/rows.csv"
        details = f"fetch: {{kind: Url, url: '{url}'}}"
        home.ok("add", home.write("root.yaml", CITIES.format(name="slow", source="SetPollingSource", details=details)))
        pull = subprocess.Popen(
            [*PROGRAM, "pull", "slow"],
            env={**os.environ, "KAMU_NODE_HOME": str(tmp_path / "home"), "KAMU_NODE__EGRESS__ALLOW": "127.0.0.1"},
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509 - one system call
        )
        # It has asked, and waits for an answer that never comes.
        source.settimeout(60)
        connection, _ = source.accept()

        with connection:
            pull.send_signal(signal.SIGINT)
            _, said = pull.communicate(timeout=30)

    assert pull.returncode == 130
    assert said.strip() in {"", "Aborted."}
    assert home.json("list")[0]["records"] == 0
