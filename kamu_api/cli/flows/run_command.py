"""Have a running node do something to datasets, or to itself."""

from typing import TYPE_CHECKING, Annotated

import typer

from kamu_api.cli.completing import dataset_names
from kamu_api.cli.confirming import Yes, require_consent
from kamu_api.cli.flows.compaction_options import MaxSliceRecords, MaxSliceSize, compaction_arguments
from kamu_api.cli.flows.ingest_options import NextIteration, ingest_arguments
from kamu_api.cli.flows.names import TypeName
from kamu_api.cli.flows.several import done_to
from kamu_api.cli.misuse import MisuseError
from kamu_api.cli.options import AsJson, Home, block_hash, local_node
from kamu_api.cli.output import print_json, remark, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kamu_assets.datasets.model import DatasetEntry
    from kamu_assets.flows.arguments import ResetArguments
    from kamu_assets.flows.model import Flow
    from kamu_assets.flows.retrying import FlowConfig
    from kamu_assets.node import Node


# What is asked before it, and what was not done where somebody said no.
_REWRITES = {
    TypeName.HARD_COMPACTION: ("compact", "compacted"),
    TypeName.RESET: ("reset", "reset"),
    TypeName.RESET_TO_METADATA: ("drop all rows of", "dropped"),
}


def run(
    *,
    context: typer.Context,
    dataset: Annotated[
        str | None,
        typer.Argument(
            metavar="DATASET",
            help="name, account/name, did:odf:… or a pattern with %; none for gc",
            show_default=False,
            autocompletion=dataset_names,
        ),
    ] = None,
    type_: Annotated[
        TypeName | None,
        typer.Option("--type", help="what is done; default: brought up to date", show_default=False),
    ] = None,
    fetch_uncacheable: Annotated[
        bool, typer.Option("--fetch-uncacheable", help="ingest: poll a source again that cannot tell what is new")
    ] = False,
    fetch_next_iteration: NextIteration = None,
    max_slice_size: MaxSliceSize = None,
    max_slice_records: MaxSliceRecords = None,
    block: Annotated[
        str | None, typer.Option("--block", metavar="HASH", help="reset: the block that becomes the head")
    ] = None,
    to_seed: Annotated[
        bool, typer.Option("--to-seed", help="reset: leave nothing but the first block, its source is gone, too")
    ] = False,
    old_head: Annotated[
        str | None, typer.Option("--old-head", metavar="HASH", help="reset: only if this is the head by then")
    ] = None,
    yes: Yes = False,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """Have a running node bring a dataset up to date now, or do something else to it; joins the flow that waits.

    What is said here holds for this run, instead of what `flow-config` says.
    """
    from kamu_api.cli.flows.named_flows import facts_of
    from kamu_assets.flows.retrying import FlowConfig

    config = FlowConfig(
        ingest=ingest_arguments(fetch_uncacheable=fetch_uncacheable, fetch_next_iteration=fetch_next_iteration),
        compaction=compaction_arguments(max_slice_size, max_slice_records),
        reset=_reset(type_, block, old_head, to_seed=to_seed),
    )
    type_ = _type_of(config, type_)
    if type_ is TypeName.WEBHOOK_DELIVER:
        raise MisuseError("webhooks are told by themselves; `kamu-node webhook test <webhook>` sends one something now")
    if (dataset is None) is not (type_ is TypeName.SYSTEM_GC):
        raise MisuseError("gc is of the whole node: name no dataset" if dataset else "name a dataset")
    with local_node(home) as node:
        asked = [_collect(node)] if dataset is None else []
        if dataset is not None:
            entries = node.datasets.select(node.auth.admin_caller(), [dataset])
            if type_ is not None and type_.type.rewrites:
                fitting = [entry for entry in entries if entry.kind in type_.type.kinds]
                verb, done = _REWRITES[type_]
                require_consent(context, fitting, yes=yes, verb=verb, done=done)
            asked = _asked(node, entries, type_, config)
        _tell_what_follows(node, asked)
        rows = [facts_of(node, flow) for flow in asked]
    if as_json:
        print_json(rows if "%" in (dataset or "") else rows[0])
        return
    for row in rows:
        say(f"{row['dataset'] or 'the node'}: flow {row['flowId']}, {row['status'].lower()}")


def _tell_what_follows(node: "Node", asked: "Sequence[Flow]") -> None:
    """What nobody would expect who only asked for this."""
    from kamu_api.cli.node.home_lock import HomeLock

    rewritten = [flow.dataset_id for flow in asked if flow.type.rewrites and flow.dataset_id]
    caller = node.auth.admin_caller()
    readers = {str(reader.alias) for dataset in rewritten for reader in node.datasets.dependents(caller, dataset)}
    if readers:
        names = ", ".join(sorted(readers))
        way_out = "`kamu-node flow run <dataset> --type reset-to-metadata`"
        remark(f"computed from it: {names}; they stop then, unless their trigger says --recover, until {way_out}")
    if HomeLock(node.settings.home).owner() is None:
        remark("no node runs here: the flow waits until `kamu-node up`")


def _collect(node: "Node") -> "Flow":
    return node.flow_requests.collect(node.auth.admin_caller())


def _asked(
    node: "Node", entries: "Sequence[DatasetEntry]", type_: TypeName | None, config: "FlowConfig"
) -> "list[Flow]":
    from kamu_assets.flows.model import FlowType

    caller = node.auth.admin_caller()

    def wanted(entry: "DatasetEntry") -> "Flow":
        return node.flow_requests.run(caller, entry.id, type_.type if type_ else FlowType.updating(entry.kind), config)

    return done_to(entries, wanted)


def _type_of(config: "FlowConfig", type_: TypeName | None) -> TypeName | None:
    """The one that takes what was said."""
    if config.compaction is not None and type_ is not TypeName.HARD_COMPACTION:
        raise MisuseError("sizes of slices are for --type compaction")
    if config.ingest is not None and type_ not in (None, TypeName.INGEST):
        raise MisuseError("--fetch-uncacheable and --fetch-next-iteration are for --type ingest")
    return type_ if config.ingest is None else TypeName.INGEST


def _reset(
    type_: TypeName | None, block: str | None, old_head: str | None, *, to_seed: bool
) -> "ResetArguments | None":
    from kamu_assets.flows.arguments import ResetArguments

    if type_ is not TypeName.RESET:
        if block is not None or old_head is not None or to_seed:
            raise MisuseError("--block, --to-seed and --old-head are for --type reset")
        return None
    if (block is None) is not to_seed:
        raise MisuseError("name a --block to go back to, or use --to-seed")
    return ResetArguments(block_hash("--block", block), block_hash("--old-head", old_head))
