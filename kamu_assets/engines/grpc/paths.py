"""Files have other paths where the engine runs: in a container, or on a machine with the same volume elsewhere."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder of the node, and what it is for the engine."""

    node: str
    engine: str


@dataclass(frozen=True, slots=True)
class PathMapping:
    """Both ways; a path under no mount, and a URL, is the same for both."""

    mounts: tuple[Mount, ...] = ()

    def to_engine(self, path: str) -> str:
        return _moved(path, [(mount.node, mount.engine) for mount in self.mounts])

    def to_node(self, path: str) -> str:
        return _moved(path, [(mount.engine, mount.node) for mount in self.mounts])


SAME_PATHS = PathMapping()


def _moved(path: str, rules: list[tuple[str, str]]) -> str:
    # The innermost folder decides.
    for source, target in sorted(rules, key=lambda rule: len(rule[0]), reverse=True):
        folder = source.rstrip("/") + "/"
        if path.startswith(folder):
            return target.rstrip("/") + "/" + path.removeprefix(folder)
    return path
