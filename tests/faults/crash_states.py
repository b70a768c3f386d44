"""Every state that a power cut may leave behind, by what POSIX promises: what was synced is there, names change whole.

What was not synced may be there, missing or half there, in any combination: contents separately from names, the names
of one folder separately from those of another.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from tests.faults.tape import Acknowledged, Event, Names, Sync, Tape, Tree, Write

# Names below these are looked at by nobody but who cleans up: all of them or none are enough.
SCRATCH = ".staging"
PENDING = ".pending-"
# Beyond so many unsynced changes of one folder, not every subset is tried.
_MOST_CHANGES = 6
# Nor, beyond so many, every combination of the choices in one prefix.
_MOST_STATES = 256
# How often a content that is half there is cut.
_PARTS = 6


@dataclass(frozen=True)
class CrashState:
    """What is on disk, and what had been promised by then."""

    tree: Tree
    acknowledged: tuple[str, ...]
    prefix: int

    def restore(self, home: Path) -> None:
        """Write it down as a folder."""
        self._restore(home, 0)

    def fingerprint(self) -> bytes:
        """Equal for states that a node cannot tell apart."""
        digest = sha256(repr(self.acknowledged).encode())
        self._digest(digest.update, 0, "")
        return digest.digest()

    def _restore(self, path: Path, number: int) -> None:
        path.mkdir(parents=True, exist_ok=True)
        for name, child in self.tree.folders[number].items():
            if child in self.tree.folders:
                self._restore(path / name, child)
            else:
                (path / name).write_bytes(self.tree.files.get(child, b""))

    def _digest(self, update: Callable[[bytes], None], number: int, path: str) -> None:
        for name, child in sorted(self.tree.folders[number].items()):
            if name == SCRATCH or name.startswith(PENDING):
                continue
            update(f"{path}/{name}\0".encode())
            if child in self.tree.folders:
                self._digest(update, child, f"{path}/{name}")
            else:
                update(sha256(self.tree.files.get(child, b"")).digest())


@dataclass
class _Disk:
    """What is certainly on disk, and what may be."""

    durable: Tree
    # Contents since the last sync of a file, oldest first; changes of names since the last sync of a folder.
    contents: dict[int, bytes] = field(default_factory=dict)
    changes: dict[int, list[Names]] = field(default_factory=dict)
    acknowledged: list[str] = field(default_factory=list)

    def apply(self, event: Event) -> None:
        match event:
            case Write(file, content):
                self.contents[file] = content
            case Names(folder):
                self.durable.folders.setdefault(folder, {})
                self.changes.setdefault(folder, []).append(event)
            case Sync(target):
                self._sync(target)
            case Acknowledged(head):
                self.acknowledged.append(head)

    def _sync(self, target: int) -> None:
        if target in self.contents:
            self.durable.files[target] = self.contents.pop(target)
        for change in self.changes.pop(target, ()):
            _rename(self.durable, change)


def crash_states(tape: Tape, events: Sequence[Event] | None = None) -> Iterator[CrashState]:
    """All states for every prefix of what was recorded, each once."""
    disk = _Disk(tape.start.copy())
    folders = {event.folder for event in tape.events if isinstance(event, Names)} | set(tape.start.folders)
    for folder in folders:
        disk.durable.folders.setdefault(folder, {})
    seen: set[bytes] = set()
    for prefix, event in enumerate([*(tape.events if events is None else events), None]):
        for state in _states(disk, prefix):
            fingerprint = state.fingerprint()
            if fingerprint not in seen:
                seen.add(fingerprint)
                yield state
        if event is not None:
            disk.apply(event)


def _states(disk: _Disk, prefix: int) -> Iterator[CrashState]:
    scratch = _scratch_folders(disk)
    names = [(folder, _subsets(changes, plain=folder in scratch)) for folder, changes in disk.changes.items()]
    contents = [
        (
            file,
            [content] if file in _scratch_files(disk, scratch) else _torn(disk.durable.files.get(file, b""), content),
        )
        for file, content in disk.contents.items()
    ]
    choices = [choice for _, choice in names] + [choice for _, choice in contents]
    for chosen in _combinations(choices, prefix):
        tree = disk.durable.copy()
        for (_, _), changes in zip(names, chosen, strict=False):
            for change in changes:
                _rename(tree, change)
        for (file, _), content in zip(contents, chosen[len(names) :], strict=True):
            tree.files[file] = content
        yield CrashState(tree, tuple(disk.acknowledged), prefix)


def _combinations(choices: list[list], prefix: int) -> Iterator[tuple]:  # type: ignore[type-arg] # names and contents
    total = 1
    for choice in choices:
        total *= len(choice)
    if total <= _MOST_STATES:
        yield from itertools.product(*choices)
        return
    chance = random.Random(prefix)
    yield tuple(choice[0] for choice in choices)
    yield tuple(choice[-1] for choice in choices)
    for _ in range(_MOST_STATES):
        yield tuple(chance.choice(choice) for choice in choices)


def _subsets(changes: list[Names], *, plain: bool) -> list[list[Names]]:
    if plain:
        return [[], changes]
    if len(changes) <= _MOST_CHANGES:
        sizes = range(len(changes) + 1)
        return [list(found) for size in sizes for found in itertools.combinations(changes, size)]
    without_one = [changes[:index] + changes[index + 1 :] for index in range(len(changes))]
    prefixes = [changes[:size] for size in range(len(changes))]
    return [*prefixes, *([change] for change in changes), *without_one, changes]


def _torn(old: bytes, new: bytes) -> list[bytes]:
    """A content on its way to disk: nothing of it, parts, its length without its bytes, all."""
    kept = len(old) if new.startswith(old) else 0
    added = len(new) - kept
    parts = [new[: kept + added * part // _PARTS] for part in range(1, _PARTS)]
    return list(dict.fromkeys([old, *parts, new[:kept] + bytes(added), new]))


def _rename(tree: Tree, change: Names) -> None:
    names = tree.folders.setdefault(change.folder, {})
    for name, number in change.changes:
        if number is None:
            names.pop(name, None)
        else:
            names[name] = number


def _scratch_folders(disk: _Disk) -> set[int]:
    now = _latest(disk)
    found = [number for name, number in _named(now) if name == SCRATCH]
    inside: set[int] = set()
    while found:
        folder = found.pop()
        inside.add(folder)
        found += [child for child in now.get(folder, {}).values() if child in now]
    return inside


def _scratch_files(disk: _Disk, scratch: set[int]) -> set[int]:
    """Files that have had no name but a scratch one."""
    now = _latest(disk)
    elsewhere: set[int] = set()
    for folder, names in now.items():
        if folder not in scratch:
            elsewhere |= {number for name, number in names.items() if not name.startswith(PENDING)}
    return set(disk.contents) - elsewhere


def _latest(disk: _Disk) -> dict[int, dict[str, int]]:
    """Every name that anything has had since the last sync."""
    now = {folder: dict(names) for folder, names in disk.durable.folders.items()}
    for folder, changes in disk.changes.items():
        for change in changes:
            now.setdefault(folder, {}).update({name: number for name, number in change.changes if number is not None})
    return now


def _named(folders: dict[int, dict[str, int]]) -> Iterator[tuple[str, int]]:
    for names in folders.values():
        yield from names.items()
