"""FTP as a source: whole files or none, from allowed addresses only."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kamu_assets.coordinator.ingest.errors import (
    BadUrlError,
    EventTimeSourceError,
    SourceNotFoundError,
    SourceUnreachableError,
    TooLargeError,
)
from kamu_assets.coordinator.ingest.limits import FetchLimits
from kamu_assets.coordinator.ingest.poll import PollRules
from kamu_assets.coordinator.results import Updated, UpToDate
from kamu_assets.egress.policy import EgressDeniedError, EgressPolicy
from kamu_assets.odf.source import EventTimeSourceFromPath, FetchStepUrl
from tests.support.coordination import LOCAL_SERVERS
from tests.support.ftp_source import FtpSource, ftp_source
from tests.support.heart import Heart
from tests.support.polled import Polled


@pytest.fixture
def ftp() -> Iterator[FtpSource]:
    with ftp_source() as source:
        source.files["d/n.csv"] = b"1\n2\n"
        yield source


@pytest.fixture
def polled(heart: Heart, ftp: FtpSource, tmp_path: Path) -> Polled:
    found = Polled(heart, tmp_path)
    found.create(FetchStepUrl(url=f"{ftp.url}/d/n.csv"))
    return found


def limits(**limits: float) -> PollRules:
    return PollRules(fetch=FetchLimits(**limits), egress=LOCAL_SERVERS)  # type: ignore[arg-type] # whole numbers where wanted


@pytest.mark.parametrize("sizes", ["known", "unknown"])
def test_a_file_is_taken_once_and_again_when_told_to(polled: Polled, ftp: FtpSource, sizes: str) -> None:
    ftp.knows_sizes = sizes == "known"

    first, second, third = polled.pull(), polled.pull(), polled.pull(fetch_uncacheable=True)

    assert isinstance(first, Updated)
    assert second == UpToDate(uncacheable=True)
    assert isinstance(third, Updated)
    assert (polled.records, polled.state) == (4, None)
    assert ftp.commands[:2] == ["USER anonymous", "PASS anonymous@"]


# FE-08
@pytest.mark.parametrize(
    "fault",
    [
        {"cut_after": 2},
        {"cut_after": 2, "knows_sizes": False},
        {"cut_after": 2, "knows_sizes": False, "admits_cut": True},
        {"cut_after": 0, "admits_cut": True},
    ],
)
def test_a_transfer_that_is_cut_off_is_not_taken(polled: Polled, ftp: FtpSource, fault: dict[str, int]) -> None:
    for name, value in fault.items():
        setattr(ftp, name, value)
    head = polled.head

    with pytest.raises(SourceUnreachableError, match="truncated"):
        polled.pull()
    assert (polled.head, polled.staged()) == (head, [])
    ftp.cut_after = None

    assert isinstance(polled.pull(), Updated)


@pytest.mark.parametrize("allowed", [(), ("127.0.0.1:{port}",)])
def test_both_connections_are_held_to_the_policy(polled: Polled, ftp: FtpSource, allowed: tuple[str, ...]) -> None:
    rules = [rule.format(port=ftp.port) for rule in allowed]
    polled.rules = PollRules(egress=EgressPolicy.allowing(rules))

    with pytest.raises(EgressDeniedError, match=r"127\.0\.0\.1.*egress\.allow"):
        polled.pull()

    assert not any(command.startswith("RETR") for command in ftp.commands)


@pytest.mark.parametrize(
    ("drip", "rules", "words"),
    [
        (0.05, limits(total_seconds=0.12), "within 0.12 seconds.*fetch_deadline_seconds"),
        (5, limits(silence_seconds=0.2), "no data for 0.2 seconds.*fetch_timeout_seconds"),
        (0, limits(max_bytes=3), "more than 3 bytes.*max_download"),
    ],
)
def test_limits_are_told_by_their_settings(
    polled: Polled, ftp: FtpSource, drip: float, rules: PollRules, words: str
) -> None:
    ftp.drip_seconds = drip
    polled.rules = rules

    with pytest.raises((SourceUnreachableError, TooLargeError), match=words):
        polled.pull()


def test_what_is_not_there_is_not_found(polled: Polled, ftp: FtpSource) -> None:
    ftp.files.clear()

    with pytest.raises(SourceNotFoundError, match=r"d/n\.csv") as missing:
        polled.pull()

    assert "secret" not in str(missing.value)


@pytest.mark.parametrize("path", ["d/n%0d%0aDELE%20x", "%00"])
def test_a_path_is_no_command(heart: Heart, ftp: FtpSource, tmp_path: Path, path: str) -> None:
    polled = Polled(heart, tmp_path)
    polled.create(FetchStepUrl(url=f"{ftp.url}/{path}"))

    with pytest.raises((BadUrlError, SourceNotFoundError)):
        polled.pull()

    assert not any("DELE" in command for command in ftp.commands)


def test_user_and_password_are_those_of_the_url(heart: Heart, ftp: FtpSource, tmp_path: Path) -> None:
    polled = Polled(heart, tmp_path)
    polled.create(FetchStepUrl(url=ftp.url.replace("//", "//me:p%40ss@") + "/d/n.csv"))

    polled.pull()

    assert ftp.commands[:2] == ["USER me", "PASS p@ss"]


def test_event_times_are_those_of_urls(heart: Heart, ftp: FtpSource, tmp_path: Path) -> None:
    polled = Polled(heart, tmp_path)
    polled.create(FetchStepUrl(url=f"{ftp.url}/d/n.csv", event_time=EventTimeSourceFromPath(pattern="(.*)")))

    with pytest.raises(EventTimeSourceError):
        polled.pull()

    assert ftp.commands == []


def test_a_server_that_never_stops_greeting_is_left(polled: Polled, ftp: FtpSource) -> None:
    ftp.greeting = b"220-hello\r\n" * 2_000

    with pytest.raises(SourceUnreachableError, match="broken"):
        polled.pull()


def test_a_server_that_greets_letter_by_letter_has_no_longer_than_others(polled: Polled, ftp: FtpSource) -> None:
    ftp.greeting, ftp.greeting_pause_seconds = b"220 " + b"o" * 5_000, 0.05
    polled.rules = limits(total_seconds=0.5)

    with pytest.raises(SourceUnreachableError, match=r"within 0\.5 seconds.*fetch_deadline_seconds"):
        polled.pull()
