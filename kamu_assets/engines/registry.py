"""From the engine name in a manifest to the implementation that has its semantics."""

from collections.abc import Mapping

from kamu_assets.engines.engine import Engine
from kamu_assets.errors import InvalidError


class UnknownEngineError(InvalidError):
    """No implementation has the semantics of this name."""

    def __init__(self, name: str, known: tuple[str, ...]) -> None:
        super().__init__(f"unknown engine {name!r}; known engines: {', '.join(known) or 'none'}")
        self.name = name
        self.known = known


class EngineRegistry:
    """Names are exact: upstream knows lower case only."""

    def __init__(self, engines: Mapping[str, Engine]) -> None:
        self._engines = dict(engines)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._engines))

    def get(self, name: str) -> Engine:
        engine = self._engines.get(name)
        if engine is None:
            raise UnknownEngineError(name, self.names)
        return engine
