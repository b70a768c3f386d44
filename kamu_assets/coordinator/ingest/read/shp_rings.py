"""Which rings of a polygon are holes, and in what (ESRI Shapefile Technical Description: Polygon)."""

from collections.abc import Sequence
from itertools import pairwise

Point = tuple[float, float]
Ring = Sequence[Point]
# Beyond that, holes that do not follow their ring are taken for polygons of their own.
_MOST_PAIRS = 100_000


def polygons(rings: Sequence[Ring]) -> list[list[Ring]]:
    """Polygons as lists of rings, the outer one first: clockwise rings are outer ones, the others their holes."""
    found: list[list[Ring]] = []
    holes: list[tuple[int, Ring]] = []
    for ring in rings:
        if _twice_the_area(ring) <= 0:
            found.append([ring])
        else:
            holes.append((len(found) - 1, ring))
    elsewhere = found if len(found) * len(holes) <= _MOST_PAIRS else []
    for before, hole in holes:
        owner = _owner(found, before, hole, elsewhere)
        if owner is None:
            # Drawn the wrong way round: it lies in nothing.
            found.append([hole])
        else:
            owner.append(hole)
    return found


def _owner(found: list[list[Ring]], before: int, hole: Ring, elsewhere: list[list[Ring]]) -> list[Ring] | None:
    """Mostly holes follow their ring."""
    if before >= 0 and (len(found) == 1 or _contains(found[before][0], hole[0])):
        return found[before]
    return next((polygon for polygon in elsewhere if _contains(polygon[0], hole[0])), None)


def _twice_the_area(ring: Ring) -> float:
    """Negative when clockwise."""
    return sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in pairwise(ring))


def _contains(ring: Ring, point: Point) -> bool:
    x, y = point
    inside = False
    for (x1, y1), (x2, y2) in pairwise(ring):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            inside = not inside
    return inside
