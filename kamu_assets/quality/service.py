"""Use cases of quality: what comes of the checks that a dataset declares."""

import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from kamu_assets.auth.model import Caller
from kamu_assets.database.database import Database
from kamu_assets.datasets.chains.chains import Chains
from kamu_assets.datasets.description import DatasetDescription
from kamu_assets.datasets.errors import DatasetNotFoundError
from kamu_assets.datasets.service import Datasets
from kamu_assets.odf.identity import DatasetID, DatasetRef
from kamu_assets.odf.multihash import Multihash
from kamu_assets.quality.checking import Checking
from kamu_assets.quality.columns import Table
from kamu_assets.quality.counting import Counting
from kamu_assets.quality.declared import Check, Declared, declared
from kamu_assets.quality.judging import without_columns
from kamu_assets.quality.progress import Progress
from kamu_assets.quality.results import CheckResult, QualityReport
from kamu_assets.quality.sql import MAX_OFFSETS, ROWS
from kamu_assets.query.model import DatasetPin, QueryRequest
from kamu_assets.query.service import QueryService


class Quality:
    """Checks what datasets declare; nothing that comes of it touches the data, which is append-only."""

    def __init__(self, *, database: Database, datasets: Datasets, chains: Chains, queries: QueryService) -> None:
        self._datasets = datasets
        self._chains = chains
        self._queries = queries
        self._progress = Progress(database, chains)

    def declared(self, dataset: DatasetID) -> Declared:
        """What a dataset declares now."""
        return declared(self._chains.state(dataset).attachments)

    def check(self, caller: Caller, ref: DatasetRef, *, cancel: threading.Event | None = None) -> QualityReport:
        """Check the rows that hold now. What cannot be judged is a result too; repeating it changes nothing."""
        began = time.monotonic()
        description = self._datasets.describe(caller, ref)
        head = description.chain.head
        if head is None:
            raise DatasetNotFoundError(description.entry.id)
        found = declared(description.chain.attachments)
        results = self._results(caller, description, head, found.checks, cancel) if found.checks else ()
        self._progress.keep(description.entry.id, head, description.chain, results)
        return QualityReport(description.entry, head, tuple(results), found.problem, time.monotonic() - began)

    def forget(self, dataset: DatasetID) -> None:
        """The dataset is gone."""
        self._progress.forget(dataset)

    def _results(
        self,
        caller: Caller,
        description: DatasetDescription,
        head: Multihash,
        checks: Sequence[Check],
        cancel: threading.Event | None,
    ) -> Sequence[CheckResult]:
        chain, schema = description.chain, description.schema
        if schema is None:
            # Without rows it keeps every promise about them.
            return [without_columns(check) for check in checks]
        dataset = description.entry.id
        counting = Counting(Table.of(schema, chain.vocab), partial(self._ask, caller, dataset, head, cancel))
        return Checking(counting, self._progress.begun(dataset, chain, checks)).results(checks)

    def _ask(
        self, caller: Caller, dataset: DatasetID, head: Multihash, cancel: threading.Event | None, sql: str
    ) -> Sequence[Mapping[str, Any]]:
        pin = DatasetPin(dataset, ROWS.strip('"'), head)
        request = QueryRequest(sql, limit=MAX_OFFSETS, datasets=(pin,))
        rows: Sequence[Mapping[str, Any]] = self._queries.query(caller, request, cancel=cancel).rows()
        return rows
