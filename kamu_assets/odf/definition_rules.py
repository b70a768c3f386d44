"""Rules for events that say where data comes from and what it looks like (ODF: SetPollingSource, SetTransform, …)."""

from collections import Counter

from kamu_assets.odf.chain_errors import InvalidEventError, MixedSourcesError, NoOpEventError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import AddPushSource, MetadataBlock, SetDataSchema, SetPollingSource, SetTransform
from kamu_assets.odf.defaults import with_defaults
from kamu_assets.odf.engine import is_normalized
from kamu_assets.odf.identity import DatasetID, parse_dataset_ref
from kamu_assets.odf.schema_evolution import check_schema_change
from kamu_assets.odf.source import FetchStepEthereumLogs


def source_is_sound(_: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if not isinstance(event, SetPollingSource | AddPushSource):
        return
    if event.preprocess is not None and not is_normalized(event.preprocess):
        raise InvalidEventError("the preprocess query is not normalized")
    if event.read.schema_ is not None and event.read.ddl_schema is not None:
        raise InvalidEventError("cannot specify both `schema` and `ddlSchema`")
    fetch = event.fetch if isinstance(event, SetPollingSource) else None
    if isinstance(fetch, FetchStepEthereumLogs) and fetch.chain_id is None and fetch.node_url is None:
        raise InvalidEventError("EthereumLogs needs a `chainId` or a `nodeUrl`")


def sources_do_not_mix(state: ChainState, block: MetadataBlock) -> None:
    match block.event:
        case AddPushSource() as event:
            previous = state.push_sources.get(event.source_name)
            if previous is not None and with_defaults(previous) == with_defaults(event):
                raise NoOpEventError(f"push source {event.source_name!r} is the same as before")
            if previous is None and state.polling_source is not None:
                raise MixedSourcesError("cannot add a push source while a polling source is active")
        case SetPollingSource() if state.push_sources:
            raise MixedSourcesError("cannot set a polling source while push sources are active")


def transform_is_sound(_: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if not isinstance(event, SetTransform):
        return
    if not event.inputs:
        raise InvalidEventError("a transform must have at least one input")
    ids = [resolved_id(item.dataset_ref) for item in event.inputs]
    repeated = [str(dataset_id) for dataset_id, count in Counter(ids).items() if count > 1]
    if repeated:
        raise InvalidEventError(f"the transform contains duplicate inputs: {', '.join(repeated)}")
    if any(item.alias is None for item in event.inputs):
        raise InvalidEventError("every input of a transform must have an alias")
    if not is_normalized(event.transform):
        raise InvalidEventError("the transform is not normalized: the last of `queries`, and only it, has no alias")


def resolved_id(ref: str) -> DatasetID:
    parsed = parse_dataset_ref(ref)
    if not isinstance(parsed, DatasetID):
        raise InvalidEventError(f"input {ref} is not resolved to a dataset ID")
    return parsed


def schema_has_one_form(_: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if isinstance(event, SetDataSchema) and (event.raw_arrow_schema is None) == (event.schema_ is None):
        raise InvalidEventError("exactly one of `schema` and `rawArrowSchema` must be set")


def schema_evolves(state: ChainState, block: MetadataBlock) -> None:
    event = block.event
    if isinstance(event, SetDataSchema) and event.schema_ is not None and state.schema is not None:
        check_schema_change(state.schema, event.schema_)
