import os
import signal
import subprocess
import sys

from kamu_assets.odf.timestamp import Timestamp
from kamu_assets.orchestration.workers.liveness import end, is_alive, is_stopped, own_identity
from tests.support.waiting import wait_until

NOW = Timestamp.parse("2024-01-01T00:00:00Z")
LONG_AGO = Timestamp.parse("2023-01-01T00:00:00Z")


_TELLS_WHO_IT_IS = (
    "from kamu_assets.orchestration.workers.liveness import own_identity; print(own_identity(), flush=True); input()"
)


def test_a_process_of_this_machine_lives_as_long_as_it_runs() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _TELLS_WHO_IT_IS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        identity = process.stdout.readline().decode().strip()

        assert is_alive(identity, LONG_AGO, NOW)
        process.kill()
        process.wait()

        assert not is_alive(identity, NOW, NOW)


def test_a_later_process_with_the_same_number_is_another() -> None:
    host, pid, start = own_identity().rsplit(":", 2)

    assert int(pid) == os.getpid()
    assert not is_alive(f"{host}:{pid}:{int(start) - 1}", NOW, NOW)


def test_a_process_elsewhere_lives_while_it_tells_so() -> None:
    assert is_alive("elsewhere:1:1", NOW, NOW)
    assert not is_alive("elsewhere:1:1", LONG_AGO, NOW)


def test_only_the_very_process_is_ended_even_when_it_is_stopped() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _TELLS_WHO_IT_IS], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        host, pid, start = process.stdout.readline().decode().strip().rsplit(":", 2)
        process.send_signal(signal.SIGSTOP)

        assert not end(f"elsewhere:{pid}:{start}")
        assert not end(f"{host}:{pid}:{int(start) - 1}")
        assert process.poll() is None
        wait_until(lambda: is_stopped(f"{host}:{pid}:{start}"))
        assert not is_stopped(f"elsewhere:{pid}:{start}")
        assert not is_stopped(f"{host}:{pid}:{int(start) - 1}")
        assert not is_stopped(own_identity())
        assert end(f"{host}:{pid}:{start}")

        assert process.wait() == -signal.SIGKILL
        assert not end(f"{host}:{pid}:{start}")
