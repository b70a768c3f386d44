"""What every object store does. Inherit `ObjectStoreContract` and give it a fixture `store`."""

import contextlib
import itertools
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kamu_assets.storage.errors import InvalidKeyError, ObjectNotFoundError, PreconditionFailedError
from kamu_assets.storage.object_store import Condition, IfAbsent, IfMatch, ObjectStore

MIB = 1 << 20
LARGE = 20 * MIB + 7
ROUNDS = 20

HOSTILE_KEYS = [
    "",
    "/",
    "/etc/passwd",
    "a/",
    "a//b",
    "..",
    "../a",
    "a/../b",
    "a/..",
    ".",
    "a/./b",
    "a/.hidden",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "a\ud800b",
    "a" * 201,
    "/".join(["part"] * 300),
]


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [info.key for info in store.list(prefix)]


def at_once(count: int, action: Callable[[int], object]) -> list[object]:
    """Results, or the conflicts, of calls made by threads that start together."""
    start = threading.Barrier(count)

    def call(number: int) -> object:
        start.wait()
        try:
            return action(number)
        except PreconditionFailedError as conflict:
            return conflict

    with ThreadPoolExecutor(count) as threads:
        return list(threads.map(call, range(count)))


def successes(results: list[object]) -> list[object]:
    return [result for result in results if not isinstance(result, PreconditionFailedError)]


class ReadingContract:
    """Getting bytes back."""

    def test_an_object_tells_when_it_was_written(self, store: ObjectStore) -> None:
        store.put("old", b"content")
        before = store.stat("old").modified
        time.sleep(0.05)

        written = store.put("new", b"content")

        assert store.stat("new").modified == written.modified > before
        assert abs(time.time() - before) < 3_600

    def test_an_object_is_read_as_it_was_written(self, store: ObjectStore) -> None:
        info = store.put("a/b", b"content")

        assert store.get("a/b") == b"content"
        assert (info.key, info.size) == ("a/b", 7)
        assert store.stat("a/b") == info
        assert store.exists("a/b")

    def test_an_empty_object_is_an_object(self, store: ObjectStore) -> None:
        store.put("empty", b"")

        assert store.exists("empty")
        assert store.get("empty") == b""
        assert store.get_range("empty", 0, 10) == b""
        assert b"".join(store.stream("empty")) == b""
        assert store.stat("empty").size == 0
        assert keys(store) == ["empty"]

    @pytest.mark.parametrize("key", ["missing", "folder", "folder/object/below", "folder/missing"])
    def test_a_missing_object_is_told_by_every_way_of_reading(self, store: ObjectStore, key: str) -> None:
        store.put("folder/object", b"x")

        assert not store.exists(key)
        for read in (
            lambda: store.get(key),
            lambda: store.get_range(key, 0, 1),
            lambda: list(store.stream(key)),
            lambda: store.stat(key),
        ):
            with pytest.raises(ObjectNotFoundError) as missing:
                read()
            assert missing.value.key == key

    @pytest.mark.parametrize(
        ("start", "length", "expected"),
        [(0, 3, b"012"), (3, 4, b"3456"), (8, 100, b"89"), (9, 1, b"9"), (10, 1, b""), (99, 1, b""), (4, 0, b"")],
    )
    def test_a_range_ends_where_the_object_ends(
        self, store: ObjectStore, start: int, length: int, expected: bytes
    ) -> None:
        store.put("digits", b"0123456789")

        assert store.get_range("digits", start, length) == expected

    def test_a_stream_comes_in_pieces_of_the_wanted_size(self, store: ObjectStore) -> None:
        store.put("digits", b"0123456789")

        assert list(store.stream("digits", chunk_size=4)) == [b"0123", b"4567", b"89"]

    def test_a_stream_may_be_left_half_way(self, store: ObjectStore) -> None:
        store.put("digits", b"0123456789")

        assert next(iter(store.stream("digits", chunk_size=4))) == b"0123"

    def test_a_location_can_be_opened(self, store: ObjectStore) -> None:
        store.put("a/b", b"content")

        location = store.location("a/b")

        assert "://" in location or (Path(location).is_absolute() and Path(location).read_bytes() == b"content")


class WritingContract:
    """Putting bytes there, under conditions or not."""

    def test_a_put_replaces_the_object(self, store: ObjectStore) -> None:
        old = store.put("key", b"old")

        new = store.put("key", b"new, longer")

        assert store.get("key") == b"new, longer"
        assert new.etag != old.etag
        assert store.stat("key") == new

    def test_if_absent_writes_where_nothing_is(self, store: ObjectStore) -> None:
        info = store.put("key", b"first", condition=IfAbsent())

        assert store.stat("key") == info

    def test_if_absent_leaves_what_is_there(self, store: ObjectStore) -> None:
        store.put("key", b"first")

        with pytest.raises(PreconditionFailedError) as conflict:
            store.put("key", b"second", condition=IfAbsent())

        assert conflict.value.key == "key"
        assert store.get("key") == b"first"

    def test_if_match_replaces_what_was_seen(self, store: ObjectStore) -> None:
        seen = store.put("key", b"first")

        store.put("key", b"second", condition=IfMatch(seen.etag))

        assert store.get("key") == b"second"

    def test_if_match_leaves_what_somebody_else_wrote(self, store: ObjectStore) -> None:
        seen = store.put("key", b"first")
        store.put("key", b"other")

        with pytest.raises(PreconditionFailedError):
            store.put("key", b"third", condition=IfMatch(seen.etag))

        assert store.get("key") == b"other"

    def test_if_match_does_not_bring_back_what_was_deleted(self, store: ObjectStore) -> None:
        seen = store.put("key", b"first")
        store.delete("key")

        with pytest.raises(PreconditionFailedError):
            store.put("key", b"second", condition=IfMatch(seen.etag))

        assert not store.exists("key")

    def test_only_one_of_many_creates_an_object(self, store: ObjectStore) -> None:
        for key in map(str, range(ROUNDS)):
            assert self._winners(store, key, IfAbsent()) == 1

    def test_only_one_of_many_replaces_what_all_have_seen(self, store: ObjectStore) -> None:
        for _ in range(ROUNDS):
            seen = store.put("key", b"seen")

            assert self._winners(store, "key", IfMatch(seen.etag)) == 1

    def _winners(self, store: ObjectStore, key: str, condition: Condition) -> int:
        """How many of many threads wrote; what is stored is what the winner wrote."""
        results = at_once(8, lambda number: store.put(key, bytes([number]), condition=condition))
        winners = successes(results)
        assert store.get(key) == bytes([results.index(winners[0])])
        return len(winners)

    def test_no_increment_of_a_counter_is_lost(self, store: ObjectStore) -> None:
        store.put("counter", b"000")

        def increment() -> None:
            while True:
                seen = store.stat("counter")
                value = int(store.get("counter"))
                # Somebody may have come between `stat` and `get`; then the etag is old and nothing is written.
                with contextlib.suppress(PreconditionFailedError):
                    store.put("counter", f"{value + 1:03}".encode(), condition=IfMatch(seen.etag))
                    return

        def increment_often(_: int) -> None:
            for _ in range(ROUNDS):
                increment()

        at_once(8, increment_often)

        assert int(store.get("counter")) == 8 * ROUNDS

    def test_readers_never_see_half_an_object(self, store: ObjectStore) -> None:
        contents = [bytes([number]) * MIB for number in range(4)]
        store.put("key", contents[0])

        def work(number: int) -> object:
            if number < 2:
                for content in contents:
                    store.put("key", content)
                return None
            return [store.get("key") in contents for _ in range(10)]

        results = at_once(6, work)

        assert all(itertools.chain(*(seen for seen in results if isinstance(seen, list))))

    def test_unrelated_objects_are_written_at_once(self, store: ObjectStore) -> None:
        at_once(16, lambda number: store.put(f"folder-{number % 4}/sub/{number}", bytes([number])))

        assert len(keys(store)) == 16
        assert store.get("folder-3/sub/7") == bytes([7])


class PendingContract:
    """Objects that are written piece by piece, or taken over from files."""

    def test_a_pending_object_is_hidden_until_its_commit(self, store: ObjectStore) -> None:
        with store.writer("a") as pending:
            pending.write(b"one ")
            pending.write(b"two")
            assert pending.size == 7
            assert keys(store) == []

            info = pending.commit("a/key")

        assert store.get("a/key") == b"one two"
        assert store.stat("a/key") == info

    def test_leaving_discards(self, store: ObjectStore) -> None:
        with store.writer("a") as pending:
            pending.write(b"unwanted")

        assert keys(store) == []
        assert store.remove_leftovers(older_than=0) == ()

    def test_an_error_discards(self, store: ObjectStore) -> None:
        def fail() -> None:
            with store.writer("a") as pending:
                pending.write(b"unwanted")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()

        assert keys(store) == []

    def test_discarding_twice_or_after_a_commit_is_harmless(self, store: ObjectStore) -> None:
        pending = store.writer("a")
        pending.write(b"content")
        pending.commit("a/key")

        pending.discard()
        pending.discard()

        assert store.get("a/key") == b"content"

    def test_nothing_written_is_an_empty_object(self, store: ObjectStore) -> None:
        with store.writer("a") as pending:
            pending.commit("a/key")

        assert store.get("a/key") == b""

    def test_a_commit_may_go_to_another_folder(self, store: ObjectStore) -> None:
        with store.writer("a/b") as pending:
            pending.write(b"content")
            pending.commit("c/d/key")

        assert keys(store) == ["c/d/key"]

    def test_a_large_object_streams_in_and_out(self, store: ObjectStore) -> None:
        piece = bytes(range(256)) * 4096
        with store.writer("a") as pending:
            for _ in range(LARGE // len(piece)):
                pending.write(piece)
            pending.write(b"1234567")
            pending.commit("a/large")

        assert store.stat("a/large").size == LARGE
        assert store.get_range("a/large", LARGE - 10, 100) == piece[-3:] + b"1234567"
        assert sum(len(chunk) for chunk in store.stream("a/large")) == LARGE

    def test_content_that_is_there_is_kept(self, store: ObjectStore) -> None:
        first = store.put("a/hash", b"content")

        with store.writer("a") as pending:
            pending.write(b"content")
            again = pending.commit("a/hash")

        assert again == first

    def test_content_of_another_size_heals_what_was_cut_short(self, store: ObjectStore) -> None:
        store.put("a/hash", b"con")

        with store.writer("a") as pending:
            pending.write(b"content")
            pending.commit("a/hash")

        assert store.get("a/hash") == b"content"

    def test_many_writers_of_the_same_content_agree(self, store: ObjectStore) -> None:
        def write(_: int) -> int:
            with store.writer("a") as pending:
                pending.write(b"content")
                return pending.commit("a/hash").size

        assert at_once(8, write) == [7] * 8
        assert keys(store) == ["a/hash"]

    @pytest.mark.parametrize("staged", [True, False], ids=["staged", "from elsewhere"])
    def test_a_file_is_taken_over(self, store: ObjectStore, tmp_path: Path, *, staged: bool) -> None:
        path = (store.staging() if staged else tmp_path) / "slice"
        path.write_bytes(b"content")
        assert keys(store) == []

        info = store.put_file(path, "a/hash")

        assert store.get("a/hash") == b"content"
        assert store.stat("a/hash") == info
        assert not path.exists()

    def test_a_file_whose_content_is_there_is_removed(self, store: ObjectStore) -> None:
        first = store.put("a/hash", b"content")
        path = store.staging() / "slice"
        path.write_bytes(b"content")

        assert store.put_file(path, "a/hash") == first
        assert not path.exists()


class ListingContract:
    """Finding out what is there, and removing it."""

    def test_a_listing_is_ordered_by_key(self, store: ObjectStore) -> None:
        given = ["b", "a/z", "a-b", "a/b/c", "a.b", "a0", "B", "é"]
        for key in given:
            store.put(key, key.encode())

        assert keys(store) == sorted(given)
        assert [info.size for info in store.list()] == [len(key.encode()) for key in sorted(given)]

    @pytest.mark.parametrize(
        ("prefix", "expected"),
        [
            ("a/", ["a/b", "a/bc", "a/d/e"]),
            ("a/b", ["a/b", "a/bc"]),
            ("a", ["a/b", "a/bc", "a/d/e", "ab"]),
            ("a/d/", ["a/d/e"]),
            ("x/", []),
            ("a/b/", []),
        ],
    )
    def test_a_prefix_is_the_start_of_a_key(self, store: ObjectStore, prefix: str, expected: list[str]) -> None:
        for key in ("a/b", "a/bc", "a/d/e", "ab", "c"):
            store.put(key, b"")

        assert keys(store, prefix) == expected

    def test_a_listing_tells_what_stat_tells(self, store: ObjectStore) -> None:
        info = store.put("a/b", b"content")

        assert list(store.list("a/")) == [info]

    def test_folders_are_what_keys_have_in_common(self, store: ObjectStore) -> None:
        for key in ("a/1/x", "a/2/x", "a/1/y", "a/file", "b/x", "top"):
            store.put(key, b"")

        assert list(store.folders()) == ["a", "b"]
        assert list(store.folders("a/")) == ["1", "2"]
        assert list(store.folders("c/")) == []

    def test_many_objects_are_all_listed(self, store: ObjectStore) -> None:
        expected = [f"a/{number:05}" for number in range(1100)]
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda key: store.put(key, b""), expected))

        assert keys(store, "a/") == expected

    def test_an_object_is_gone_when_deleted(self, store: ObjectStore) -> None:
        store.put("a/b/c", b"content")
        store.put("a/d", b"content")

        store.delete("a/b/c")

        assert keys(store) == ["a/d"]
        assert list(store.folders("a/")) == []

    @pytest.mark.parametrize("key", ["missing", "a", "a/b/below", "x/y/z"])
    def test_deleting_what_is_not_there_is_harmless(self, store: ObjectStore, key: str) -> None:
        store.put("a/b", b"content")

        store.delete(key)
        store.delete(key)

        assert keys(store) == ["a/b"]

    def test_folders_that_come_and_go_disturb_nobody(self, store: ObjectStore) -> None:
        def come_and_go(number: int) -> None:
            for _ in range(20):
                store.put(f"a/b/{number}", b"x")
                store.delete(f"a/b/{number}")

        at_once(6, come_and_go)

        assert keys(store) == []


class HostileKeysContract:
    """Names that would leave the store or confuse another one."""

    @pytest.mark.parametrize("key", HOSTILE_KEYS, ids=lambda key: re.escape(ascii(key))[:30])
    def test_a_hostile_key_is_refused_everywhere(self, store: ObjectStore, tmp_path: Path, key: str) -> None:
        file = tmp_path / "file"
        file.write_bytes(b"x")
        with store.writer("a") as pending:
            for use in (
                lambda: store.get(key),
                lambda: store.get_range(key, 0, 1),
                lambda: list(store.stream(key)),
                lambda: store.stat(key),
                lambda: store.exists(key),
                lambda: store.put(key, b"x"),
                lambda: store.put_file(file, key),
                lambda: store.delete(key),
                lambda: store.location(key),
                lambda: pending.commit(key),
            ):
                with pytest.raises(InvalidKeyError):
                    use()

        assert keys(store) == []
        assert file.exists()

    @pytest.mark.parametrize("prefix", ["../", "/", "a/../", "a//", "a\\", ".staging/", "a\0"])
    def test_a_hostile_prefix_is_refused(self, store: ObjectStore, prefix: str) -> None:
        for use in (lambda: list(store.list(prefix)), lambda: list(store.folders(prefix))):
            with pytest.raises(InvalidKeyError):
                use()

    @pytest.mark.parametrize("key", ["a b", "ü/日本", "a+b=c@d", "~a", "a:b", "%2e%2e", "a..b", "a" * 200])
    def test_an_unusual_key_is_as_good_as_any(self, store: ObjectStore, key: str) -> None:
        info = store.put(key, b"content")

        assert store.get(key) == b"content"
        assert list(store.list()) == [info]


class ObjectStoreContract(ReadingContract, WritingContract, PendingContract, ListingContract, HostileKeysContract):
    """All of it."""
