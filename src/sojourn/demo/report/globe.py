"""The Earth seen from far above a point: the orthographic projection, and lines on it.

Source: Snyder, "Map Projections: A Working Manual", U.S. Geological Survey Professional Paper 1395
(1987), chapter 20.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from sojourn.demo.report.scale import line

__all__ = ["EARTH_RADIUS_KM", "Globe", "distance_km", "middle", "shortest_path"]

EARTH_RADIUS_KM = 6_371
"""The mean radius."""

Position = tuple[float, float]  # degrees north, degrees east


class Globe(NamedTuple):
    """A view of the Earth centred on (latitude, longitude), drawn about pixel (x, y)."""

    latitude: float
    longitude: float
    radius: float  # of the Earth, in pixels
    x: float
    y: float

    def place(self, position: Position) -> tuple[float, float, bool]:
        """Return the pixel of a position and whether it is on the near side.

        What is on the far side is put on the rim, in its direction, so that land stays closed.
        """
        phi, lam = math.radians(position[0]), math.radians(position[1] - self.longitude)
        centre = math.radians(self.latitude)
        east = math.cos(phi) * math.sin(lam)
        north = math.cos(centre) * math.sin(phi) - math.sin(centre) * math.cos(phi) * math.cos(lam)
        near = math.sin(centre) * math.sin(phi) + math.cos(centre) * math.cos(phi) * math.cos(lam)
        scale = self.radius
        if near < 0:
            scale /= math.hypot(east, north) or 1
        return self.x + scale * east, self.y - scale * north, near >= 0

    def area(self, shore: Sequence[Position]) -> str:
        """Return the path data of a closed shore, empty if all of it is on the far side."""
        placed = [self.place(position) for position in shore]
        if not any(near for _, _, near in placed):
            return ""
        return line((x, y) for x, y, _ in placed) + "Z"

    def track(self, positions: Iterable[Position]) -> str:
        """Return the path data of a line, interrupted where it is on the far side."""
        pieces: list[list[tuple[float, float]]] = [[]]
        for x, y, near in map(self.place, positions):
            if near:
                pieces[-1].append((x, y))
            elif pieces[-1]:
                pieces.append([])
        return "".join(line(piece) for piece in pieces if len(piece) > 1)

    def graticule(self, step: int, reach: int) -> str:
        """Return the path data of meridians and parallels every `step` degrees.

        Those that lie within about `reach` degrees of the view's centre; 90: all in view.
        """
        fine = max(step // 5, 1)
        breadth = min(round(reach / max(math.cos(math.radians(self.latitude)), 0.1)), 180)
        north = _marks(max(self.latitude - reach, -80), min(self.latitude + reach, 80), fine)
        east = _marks(self.longitude - breadth, self.longitude + breadth, fine)
        meridians = [[(phi, lam) for phi in north] for lam in east if lam % step == 0]
        parallels = [[(phi, lam) for lam in east] for phi in north if phi % step == 0]
        return "".join(map(self.track, [*meridians, *parallels]))


def _marks(low: float, high: float, step: int) -> list[float]:
    first, last = math.ceil(low / step), math.floor(high / step)
    return [float(index * step) for index in range(first, last + 1)]


def middle(positions: Sequence[Position]) -> Position:
    """Return the position in the middle of `positions` (of their directions from the centre)."""
    vectors = [_vector(position) for position in positions]
    x, y, z = (sum(axis) for axis in zip(*vectors, strict=True))
    return math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x))


def distance_km(one: Position, other: Position) -> float:
    """Return the length of the shortest way between two positions, in kilometres."""
    return EARTH_RADIUS_KM * _angle(_vector(one), _vector(other))


def shortest_path(one: Position, other: Position, steps: int = 48) -> Iterator[Position]:
    """Yield positions along the great circle from `one` to `other`."""
    a, b = _vector(one), _vector(other)
    angle = _angle(a, b)
    for step in range(steps + 1):
        share = step / steps
        if angle < 1e-9:
            yield one
            continue
        wa = math.sin((1 - share) * angle) / math.sin(angle)
        wb = math.sin(share * angle) / math.sin(angle)
        x, y, z = (wa * p + wb * q for p, q in zip(a, b, strict=True))
        yield math.degrees(math.atan2(z, math.hypot(x, y))), math.degrees(math.atan2(y, x))


def _vector(position: Position) -> tuple[float, float, float]:
    phi, lam = math.radians(position[0]), math.radians(position[1])
    return math.cos(phi) * math.cos(lam), math.cos(phi) * math.sin(lam), math.sin(phi)


def _angle(a: tuple[float, float, float], b: tuple[float, float, float]) -> float:
    dot = sum(p * q for p, q in zip(a, b, strict=True))
    return math.acos(max(-1.0, min(1.0, dot)))
