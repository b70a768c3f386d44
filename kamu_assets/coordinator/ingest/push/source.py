"""Which source of a dataset pushed data belongs to (ODF: AddPushSource)."""

from kamu_assets.coordinator.ingest.errors import PushSourceAmbiguousError, PushSourceNotFoundError
from kamu_assets.odf.chain_state import ChainState
from kamu_assets.odf.dataset import AddPushSource


def select_push_source(chain: ChainState, name: str | None) -> AddPushSource:
    """The named source, or the only one."""
    if name is not None:
        if name not in chain.push_sources:
            raise PushSourceNotFoundError(f"Source '{name}' not found")
        return chain.push_sources[name]
    if not chain.push_sources:
        raise PushSourceNotFoundError(
            "Dataset does not define a default push source, consider specifying the source name"
        )
    if len(chain.push_sources) > 1:
        names = ", ".join(chain.push_sources)
        raise PushSourceAmbiguousError(
            f"Explicit source name is required to pick between several active push sources: {names}"
        )
    return next(iter(chain.push_sources.values()))
