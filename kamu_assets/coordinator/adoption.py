"""Takes in dataset directories of other ODF software, their rows looked at before anybody else can see them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kamu_assets.auth.model import Caller
from kamu_assets.coordinator.verify.model import Fault, OnProgress, RemarkKind, VerifyOptions, VerifyScope
from kamu_assets.coordinator.verify.service import Verification
from kamu_assets.datasets.chains.stored import StoredChain
from kamu_assets.datasets.directory import OnProgress as OnBytes
from kamu_assets.datasets.errors import DamagedDatasetError
from kamu_assets.datasets.model import DatasetEntry
from kamu_assets.datasets.service import Datasets
from kamu_assets.odf.identity import DatasetAlias


def _tell_nobody(_: int, __: int) -> None:
    """Ignore progress."""


@dataclass(frozen=True, slots=True)
class AdoptOptions:
    """How to take in a directory, and who listens."""

    # Else its `info/alias`.
    alias: DatasetAlias | None = None
    # Whether rows are read and compared with what blocks say of them, which takes as long as hashing them.
    reads_rows: bool = True
    # Where rows are not read: how many bytes of the files are hashed.
    on_bytes: OnBytes = _tell_nobody
    # Where they are, which hashes the files as well.
    on_rows: OnProgress | None = None


@dataclass(frozen=True, slots=True)
class VerifiedAdoption:
    """The use case of `kamu-node adopt`."""

    datasets: Datasets
    verification: Verification

    def adopt(self, caller: Caller, directory: Path, options: AdoptOptions) -> DatasetEntry:
        """Register a directory whose integrity holds; DamagedDatasetError names the first bad object otherwise."""
        return self.datasets.adopt(
            caller,
            directory,
            options.alias,
            on_progress=options.on_bytes,
            examine=self._examination(options.on_rows) if options.reads_rows else None,
        )

    def _examination(self, on_rows: OnProgress | None) -> Callable[[DatasetEntry, StoredChain], None]:
        asked = VerifyOptions(scope=VerifyScope.INTEGRITY, on_progress=on_rows)

        def examine(entry: DatasetEntry, chain: StoredChain) -> None:
            report = self.verification.examine(entry, chain, asked)
            if report.first_fault is not None:
                raise _refusal(report.first_fault)
            for remark in report.remarks:
                # The file is not what its name says, whatever its rows are.
                if remark.kind is RemarkKind.REENCODED:
                    raise DamagedDatasetError(str(remark.place), f"{remark.kind}: {remark.message}")

        return examine


def _refusal(fault: Fault) -> DamagedDatasetError:
    return DamagedDatasetError(str(fault.place), f"{fault.kind}: {fault.message}")
