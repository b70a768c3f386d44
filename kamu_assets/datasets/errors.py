"""How use cases of datasets fail."""

from collections.abc import Sequence
from typing import ClassVar

from kamu_assets.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from kamu_assets.odf.identity import DatasetAlias, DatasetID, DatasetRef, DatasetRefPattern
from kamu_assets.odf.multihash import Multihash


class DatasetNotFoundError(NotFoundError):
    """No such dataset, as far as the caller may know."""

    def __init__(self, ref: DatasetRef) -> None:
        super().__init__(f"dataset {ref} does not exist")
        self.ref = ref


class NothingMatchesError(NotFoundError):
    """No dataset is called as the pattern says, as far as the caller may know."""

    def __init__(self, pattern: DatasetRefPattern) -> None:
        super().__init__(f"no dataset matches '{pattern}'")
        self.pattern = pattern


class NameCollisionError(ConflictError):
    """The name is taken; letter case does not matter."""

    def __init__(self, alias: DatasetAlias) -> None:
        super().__init__(f"a dataset named '{alias}' already exists")
        self.alias = alias


class NameTooLongError(InvalidError):
    """The name is within the grammar, but no node keeps such names."""

    def __init__(self, alias: DatasetAlias, most: int) -> None:
        super().__init__(f"dataset names have at most {most} characters, not {len(str(alias.name))}")
        self.alias = alias


class RefCollisionError(ConflictError):
    """The identity is registered already."""

    def __init__(self, dataset: DatasetID, alias: DatasetAlias) -> None:
        super().__init__(f"dataset {dataset} is already here as '{alias}'")
        self.dataset = dataset
        self.alias = alias


class BeingAdoptedError(ConflictError):
    """Another process is taking in the same dataset."""

    def __init__(self, dataset: DatasetID) -> None:
        super().__init__(f"dataset {dataset} is being adopted by another process")
        self.dataset = dataset


class HeadMovedError(ConflictError):
    """Another commit was first; look at the new head and try again."""

    def __init__(self, dataset: DatasetID, expected: Multihash | None, actual: Multihash | None) -> None:
        super().__init__(f"head of {dataset} is {actual}, not {expected}: another commit was first")
        self.dataset = dataset
        self.expected = expected
        self.actual = actual


class ChainReplacedError(HeadMovedError):
    """The chain was rewritten while it was read, and what it was made of is gone already."""

    def __init__(self, dataset: DatasetID, block: Multihash, head: Multihash) -> None:
        super().__init__(dataset, block, head)
        self.args = (f"the chain of {dataset} was rewritten while it was read: block {block} is gone, try again",)


class NewHeadNotFoundError(NotFoundError):
    """The head cannot go to a block that is not in the chain."""

    kind: ClassVar[str] = "block-not-found"

    def __init__(self, alias: DatasetAlias, block: Multihash) -> None:
        super().__init__(
            f"block {block} is not in the chain of '{alias}': `kamu-node log {alias}` shows those that are"
        )
        self.block = block


class AlreadyHeadError(ConflictError):
    """The head is there already."""

    kind: ClassVar[str] = "already-head"

    def __init__(self, alias: DatasetAlias, block: Multihash) -> None:
        super().__init__(f"block {block} is the head of '{alias}' already")
        self.block = block


class MissingInputsError(InvalidError):
    """A derivative names inputs that do not exist."""

    def __init__(self, inputs: Sequence[str]) -> None:
        super().__init__(f"referencing non-existing inputs: {', '.join(inputs)}")
        self.inputs = tuple(inputs)


class CyclicDependencyError(InvalidError):
    """A dataset would be computed from itself."""

    def __init__(self, loop: Sequence[str]) -> None:
        super().__init__(f"datasets would depend on themselves: {' → '.join(loop)}")
        self.loop = tuple(loop)


class DanglingReferenceError(ConflictError):
    """The dataset is an input of others: delete those first."""

    def __init__(self, alias: DatasetAlias, children: Sequence[DatasetAlias], *, hidden: int = 0) -> None:
        names = [str(child) for child in children] + ([f"{hidden} more"] if hidden else [])
        super().__init__(f"'{alias}' cannot be deleted: it is an input of {', '.join(names)}")
        self.alias = alias
        # Those the caller may know of.
        self.children = tuple(children)


class InvalidBlockIntervalError(InvalidError):
    """The interval does not lie in the chain: it was reset, compacted or never had these blocks."""

    def __init__(self, dataset: DatasetID, after: Multihash | None, until: Multihash) -> None:
        super().__init__(f"invalid block interval [{until}, {after}) in dataset '{dataset}'")
        self.dataset = dataset
        self.after = after
        self.until = until


class DanglingObjectError(InvalidError):
    """A block names a file that is neither given nor stored, or of another size."""

    def __init__(self, what: str, name: Multihash, found: str) -> None:
        super().__init__(f"{what} {name} {found}")
        self.name = name


class DamagedDatasetError(InvalidError):
    """A dataset's files do not hold what they must; says which one and why."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where = where
        self.reason = reason


class DamagedSliceError(UnavailableError):
    """Data cannot be read because a slice, or a checkpoint, is gone or is not what its name says."""

    def __init__(self, alias: DatasetAlias, name: Multihash, found: str, *, what: str = "data slice") -> None:
        super().__init__(f"{what} {name} of {alias} {found}: `kamu-node verify {alias}` says what is left of it")
        self.alias = alias
        self.name = name
