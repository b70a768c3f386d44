"""Every engine named `datafusion` gives what a running kamu's engine gave to the same calls."""

from collections.abc import Iterator
from pathlib import Path

import datafusion
import pyarrow as pa
import pytest

from kamu_assets.engines.datafusion.engine import run_transform
from kamu_assets.engines.engine import Engine, InternalError, InvalidQuery, TransformSuccess
from kamu_assets.engines.grpc.client import RemoteConfig, RemoteEngine
from kamu_assets.engines.grpc.server import EngineServer
from kamu_assets.engines.pooled import PooledEngine
from kamu_assets.engines.slices.listing import schema_from_ipc
from kamu_assets.engines.workers.pool import WorkerLimits, WorkerPool
from kamu_assets.odf.arrow_schema import from_arrow
from kamu_assets.odf.data_hash import logical_hash
from tests.support.engine_calls import EngineCall, engine_calls

CALLS = list(engine_calls())
MEMORY = 1 << 30

# What cannot be equal, and why. Row order of unions is not here: see `as_sets`.
EXCLUDED = {
    "derivative-functions": "lists the functions and settings of the engine's own version",
    "derivative-json-functions": "JSON functions are not part of the DataFusion wheel",
    "derivative-not-reproducible": "calls now() and random()",
}
RACING = ("derivative-union-two-inputs", "derivative-two-watermarks", "derivative-multi-level")


@pytest.fixture(scope="module", params=["in a worker", "behind the wire"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    pool = WorkerPool(name="engine", size=1, limits=WorkerLimits(MEMORY, 120))
    local = PooledEngine(pool, run_transform, memory_bytes=MEMORY)
    if request.param == "in a worker":
        yield local
    else:
        with EngineServer(local, port=0) as server:
            yield RemoteEngine(RemoteConfig(f"127.0.0.1:{server.port}", 120), pool)
    pool.close()


def read(path: Path) -> pa.Table:
    """Rows with the types that the Arrow schema in the file names."""
    config = datafusion.SessionConfig().set("datafusion.execution.parquet.schema_force_view_types", "false")
    return datafusion.SessionContext(config).read_parquet(str(path), file_extension="").to_arrow_table()


def as_sets(table: pa.Table) -> list[str]:
    return sorted(str({**row, "offset": None}) for row in table.to_pylist())


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
def test_a_recorded_call_gets_the_recorded_answer(engine: Engine, call: EngineCall, tmp_path: Path) -> None:
    if call.scenario in EXCLUDED:
        pytest.skip(EXCLUDED[call.scenario])

    answer = engine.transform(call.to_request(tmp_path))

    match call.answer_kind:
        case "TransformResponseSuccess":
            assert isinstance(answer, TransformSuccess), answer
            check_success(call, answer, tmp_path / "data")
        case "TransformResponseInvalidQuery":
            assert isinstance(answer, InvalidQuery), answer
        case _:
            assert isinstance(answer, InternalError), answer


def check_success(call: EngineCall, answer: TransformSuccess, data: Path) -> None:
    assert answer.new_offset_interval == call.interval
    assert answer.new_watermark == call.watermark
    assert answer.stats is not None
    assert answer.schema is not None
    written = read(data)
    assert answer.stats.logical_hash == logical_hash(written)
    assert written.schema.equals(schema_from_ipc(answer.schema))
    committed = call.committed()
    if committed is None:
        return
    recorded = read(call.data_file(str(committed.physical_hash)))
    assert from_arrow(written.schema) == from_arrow(recorded.schema)
    if call.scenario.startswith(RACING):
        assert as_sets(written) == as_sets(recorded)
    else:
        assert written.to_pylist() == recorded.to_pylist()
        assert answer.stats.logical_hash == committed.logical_hash


def test_the_recordings_are_replayed_by_the_dozen() -> None:
    assert sum(call.scenario not in EXCLUDED for call in CALLS) > 80
