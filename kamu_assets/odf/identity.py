"""Ways to point at a dataset: its identity, its alias, a pattern, an address elsewhere."""

import re
from dataclasses import dataclass
from functools import total_ordering
from typing import Self

from kamu_assets.odf.did import DID_ODF, AccountID, DatasetID, DidKey, InvalidDidError
from kamu_assets.odf.names import NAME_RULE, AccountName, DatasetName, InvalidNameError, NamePattern, RepoName
from kamu_assets.odf.seeded import seeded_public_key
from kamu_assets.odf.typedef import OdfEnum, TextValue

__all__ = [
    "AccountID",
    "AccountName",
    "DatasetAlias",
    "DatasetAliasRemote",
    "DatasetHandle",
    "DatasetID",
    "DatasetKind",
    "DatasetName",
    "DatasetRef",
    "DatasetRefPattern",
    "DatasetRefRemote",
    "DatasetUrl",
    "DidKey",
    "InvalidDidError",
    "InvalidNameError",
    "NamePattern",
    "RepoName",
    "parse_dataset_ref",
    "parse_dataset_ref_remote",
    "seeded_public_key",
]

_URL = re.compile(r"[A-Za-z0-9]+(?:\+[A-Za-z0-9]+)*://\S+", re.ASCII)


class DatasetKind(OdfEnum):
    """Whether data enters a dataset from outside or is computed from other datasets."""

    ROOT = "Root"
    DERIVATIVE = "Derivative"


@total_ordering
@dataclass(frozen=True, slots=True)
class DatasetAlias(TextValue):
    """`account/name`, or `name` where the account is understood."""

    account: AccountName | None
    name: DatasetName

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `name` or `account/name`."""
        account, slash, name = text.rpartition("/")
        try:
            return cls(AccountName(account) if slash else None, DatasetName(name))
        except InvalidNameError as error:
            what = "dataset alias"
            raise InvalidNameError(what, text, rule=f"write `name` or `account/name`; {NAME_RULE}") from error

    def __lt__(self, other: Self) -> bool:
        return self._order < other._order if isinstance(other, DatasetAlias) else NotImplemented

    @property
    def _order(self) -> tuple[str, str]:
        return (self.account.folded if self.account else "", self.name.folded)

    def __str__(self) -> str:
        return f"{self.account}/{self.name}" if self.account else str(self.name)


@dataclass(frozen=True, slots=True)
class DatasetHandle:
    """A dataset that was found: what it is and how it is called now."""

    id: DatasetID
    alias: DatasetAlias
    kind: DatasetKind

    def __str__(self) -> str:
        return str(self.alias)


DatasetRef = DatasetID | DatasetAlias


def parse_dataset_ref(text: str) -> DatasetRef:
    """Read a dataset ID or an alias."""
    return DatasetID.parse(text) if text.startswith(DID_ODF) else DatasetAlias.parse(text)


@dataclass(frozen=True, slots=True)
class DatasetRefPattern(TextValue):
    """A dataset ID, or an alias whose name may contain `%`."""

    id: DatasetID | None = None
    account: AccountName | None = None
    pattern: NamePattern | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an ID, `pattern` or `account/pattern`."""
        if text.startswith(DID_ODF):
            return cls(id=DatasetID.parse(text))
        account, slash, pattern = text.rpartition("/")
        return cls(account=AccountName(account) if slash else None, pattern=NamePattern(pattern))

    def matches(self, handle: DatasetHandle) -> bool:
        """Whether the pattern covers the dataset; an absent account covers every account."""
        if self.pattern is None:
            return self.id == handle.id
        return self.account in {None, handle.alias.account} and self.pattern.matches(handle.alias.name)

    def __str__(self) -> str:
        if self.pattern is None:
            return str(self.id)
        return f"{self.account}/{self.pattern}" if self.account else str(self.pattern)


@dataclass(frozen=True, slots=True)
class DatasetAliasRemote(TextValue):
    """`repository/account/name` or `repository/name`."""

    repo: RepoName
    account: AccountName | None
    name: DatasetName

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read two or three names."""
        repo, slash, rest = text.partition("/")
        if not slash:
            what = "remote dataset alias"
            raise InvalidNameError(what, text)
        alias = DatasetAlias.parse(rest)
        return cls(RepoName(repo), alias.account, alias.name)

    @property
    def alias(self) -> DatasetAlias:
        """The alias inside the repository."""
        return DatasetAlias(self.account, self.name)

    def __str__(self) -> str:
        return f"{self.repo}/{self.alias}"


@dataclass(frozen=True, slots=True, order=True)
class DatasetUrl(TextValue):
    """Where a dataset lies: `https://…`, `odf+https://…`, `s3://…`, `file://…`."""

    text: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Check that it has a scheme and a place."""
        if not _URL.fullmatch(text):
            what = "dataset URL"
            raise InvalidNameError(what, text)
        return cls(text)

    @property
    def scheme(self) -> str:
        """What stands before `://`."""
        return self.text.partition("://")[0].lower()

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class DatasetIDRemote(TextValue):
    """A dataset ID, perhaps in a named repository."""

    repo: RepoName | None
    id: DatasetID

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `did:odf:…` or `repository/did:odf:…`."""
        repo, slash, did = text.rpartition("/")
        return cls(RepoName(repo) if slash else None, DatasetID.parse(did))

    def __str__(self) -> str:
        return f"{self.repo}/{self.id}" if self.repo else str(self.id)


DatasetRefRemote = DatasetIDRemote | DatasetAliasRemote | DatasetUrl


def parse_dataset_ref_remote(text: str) -> DatasetRefRemote:
    """Read a URL, an ID (perhaps of a repository) or a remote alias."""
    if "://" in text:
        return DatasetUrl.parse(text)
    if text.startswith(DID_ODF) or f"/{DID_ODF}" in text:
        return DatasetIDRemote.parse(text)
    return DatasetAliasRemote.parse(text)
