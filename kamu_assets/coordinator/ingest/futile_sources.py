"""Sources that will never bring data, whatever it is. Pure: whoever adds them can be told at once.

Such datasets are added, as by the reference, and fail with the first data.
"""

from collections.abc import Iterable, Sequence

from kamu_assets.coordinator.ingest.column_names import check_keys, check_reserved
from kamu_assets.coordinator.ingest.errors import UnsupportedSchemaError
from kamu_assets.coordinator.ingest.merge.needs import takes_operations
from kamu_assets.coordinator.ingest.prepare.steps import check_prepare
from kamu_assets.coordinator.ingest.read.options import check_json_options, csv_dialect
from kamu_assets.errors import InvalidError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.data import DatasetVocabulary
from kamu_assets.odf.dataset import AddPushSource, SetPollingSource
from kamu_assets.odf.ddl import parse_ddl
from kamu_assets.odf.source import ReadStep, ReadStepCsv, ReadStepJson, ReadStepNdJson

# What the columns are called that are declared.
_DECLARED = "the schema of its source"


def why_futile(chain: ChainState) -> str | None:
    """What is wrong with a source of a dataset, in the words in which its data would be refused."""
    for source in _sources(chain):
        try:
            _check(source, chain.vocab)
        except InvalidError as error:
            return str(error)
    return None


def _sources(chain: ChainState) -> Iterable[SetPollingSource | AddPushSource]:
    return [*([chain.polling_source] if chain.polling_source else []), *chain.push_sources.values()]


def _check(source: SetPollingSource | AddPushSource, vocab: DatasetVocabulary) -> None:
    if isinstance(source, SetPollingSource):
        check_prepare(source.prepare)
    columns = _columns(source.read)
    # What a query makes of them only the engine knows.
    if columns is not None and source.preprocess is None:
        check_reserved(columns, vocab, brings_op=takes_operations(source.merge), name=_DECLARED)
        # Data without a time gets one.
        check_keys([*columns, vocab.event_time_column], source.merge, vocab, name=_DECLARED)


def _columns(step: ReadStep) -> Sequence[str] | None:
    """Those that the data will have, where that is known already."""
    match step:
        case ReadStepCsv():
            csv_dialect(step)
        case ReadStepJson() | ReadStepNdJson():
            check_json_options(step)
        case _:
            return None
    if step.ddl_schema is None:
        return None
    try:
        return [field.name for field in parse_ddl(step.ddl_schema).fields]
    except InvalidError as error:
        raise UnsupportedSchemaError(f"schema of the {step.kind} reader: {error}") from error
