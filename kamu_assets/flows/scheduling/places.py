"""Which flows to start when engines take only so many runs: those in front of a full engine let the others pass."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from kamu_assets.flows.model import Flow
from kamu_assets.odf.identity import DatasetID

# Runs that wait right behind those that execute, so that a place is taken as soon as it is free.
WAITING_BEHIND = 1


@dataclass(frozen=True, slots=True)
class EnginePlaces:
    """The most runs by engine, and who knows the engine of a dataset; None for datasets that need none."""

    limits: Mapping[str, int]
    engine_of: Callable[[DatasetID], str | None]

    def choose(self, waiting: Iterable[Flow], *, running: Iterable[Flow], room: int) -> Sequence[Flow]:
        """The first of the waiting flows, as many as there is room for, that would not only fill a queue."""
        taken = Counter(map(self._engine, running))
        chosen: list[Flow] = []
        for flow in waiting:
            if len(chosen) >= room:
                break
            engine = self._engine(flow)
            limit = self.limits.get(engine) if engine else None
            if limit is None or taken[engine] < limit + WAITING_BEHIND:
                chosen.append(flow)
                taken[engine] += 1
        return chosen

    def held_up(self, waiting: Sequence[Flow], *, running: Sequence[Flow]) -> Sequence[tuple[Flow, str]]:
        """Waiting flows that are not even given a run now, and the engine that has no place for one."""
        chosen = {flow.id for flow in self.choose(waiting, running=running, room=len(waiting))}
        named = [(flow, self._engine(flow)) for flow in waiting if flow.id not in chosen]
        return [(flow, engine) for flow, engine in named if engine is not None]

    def holders(self, engine: str, running: Iterable[Flow]) -> Sequence[Flow]:
        """Flows that execute at the engine."""
        return [flow for flow in running if flow.started_at and self._engine(flow) == engine]

    def _engine(self, flow: Flow) -> str | None:
        return self.engine_of(flow.dataset_id) if flow.type.computes and flow.dataset_id else None


def waits_for(engine: str, *, places: int, holders: Sequence[str]) -> str:
    """What somebody is told whose flow does not begin."""
    limit = f"setting engine.capacity: {places} at once"
    taken = f"; taken by {', '.join(holders)}" if holders else ""
    return f"waits for a place at engine {engine} ({limit}){taken}"
