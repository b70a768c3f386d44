"""An engine without worker processes."""

from kamu_assets.engines.datafusion.engine import run_transform
from kamu_assets.engines.engine import RawQueryRequest, RawQueryResponse, TransformRequest, TransformResponse
from kamu_assets.engines.job import RawQueryJob, TransformJob
from kamu_assets.engines.raw_query import run_raw_query
from kamu_assets.engines.slices.facts import Encodings

_MEMORY = 256 << 20


class InlineEngine:
    """The DataFusion engine in this process."""

    def transform(self, request: TransformRequest, **_: object) -> TransformResponse:
        return run_transform(TransformJob(request, encodings=Encodings.KAMU, memory_bytes=_MEMORY))

    def raw_query(self, request: RawQueryRequest, **_: object) -> RawQueryResponse:
        return run_raw_query(RawQueryJob(request, memory_bytes=_MEMORY))
