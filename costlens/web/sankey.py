"""Where money flowed as an SVG: three columns of blocks, with ribbons between neighbours, all as wide as the money."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT, GAP, BLOCK = 1080, 270, 10, 8
PLACES = (150, 500, 850)  # left edge of each column


@dataclass(frozen=True, slots=True)
class Block:
    column: int
    name: str
    label: str
    cost: int
    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Ribbon:
    """A band from a block to one of the next column; `name` is that of the block that it is coloured like."""

    name: str
    path: str


@dataclass(frozen=True, slots=True)
class Sankey:
    blocks: tuple[Block, ...]
    ribbons: tuple[Ribbon, ...]


def sankey(
    flows: Sequence[tuple[tuple[str, str, str], int]], orders: Sequence[Sequence[str]], label: Callable[[str], str]
) -> Sankey:
    """The picture of flows: the names of a flow in each column and its cost, above 0; `orders` are from the top."""
    total = sum(cost for _, cost in flows)
    columns = [_sums([(names[at], cost) for names, cost in flows]) for at in range(3)]
    shown = [[name for name in order if name in sums] for order, sums in zip(orders, columns, strict=True)]
    most = max((len(names) for names in shown), default=1)
    scale = (HEIGHT - GAP * (most - 1)) / total if total else 0
    blocks: dict[tuple[int, str], Block] = {}
    for at, names in enumerate(shown):
        y = 0.0
        gap = (HEIGHT - total * scale) / (len(names) - 1) if len(names) > 1 else 0
        for name in names:
            height = columns[at][name] * scale
            blocks[at, name] = Block(at, name, label(name), columns[at][name], PLACES[at], y, height)
            y += height + gap
    ribbons: list[Ribbon] = []
    for at in (0, 1):
        pairs = _sums([((names[at], names[at + 1]), cost) for names, cost in flows])
        left = {name: blocks[at, name].y for name in shown[at]}
        right = {name: blocks[at + 1, name].y for name in shown[at + 1]}
        for source in shown[at]:
            for target in shown[at + 1]:
                thick = pairs.get((source, target), 0) * scale
                if thick:
                    path = _band(PLACES[at] + BLOCK, left[source], PLACES[at + 1], right[target], thick)
                    ribbons.append(Ribbon(target if at else source, path))
                    left[source] += thick
                    right[target] += thick
    return Sankey(tuple(blocks.values()), tuple(ribbons))


def _sums(parts: Sequence[tuple[object, int]]) -> Mapping[object, int]:
    found: dict[object, int] = {}
    for key, cost in parts:
        found[key] = found.get(key, 0) + cost
    return found


def _band(x0: float, y0: float, x1: float, y1: float, thick: float) -> str:
    middle = (x0 + x1) / 2
    return (
        f"M{x0:.1f} {y0:.1f}C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}v{thick:.1f}"
        f"C{middle:.1f} {y1 + thick:.1f} {middle:.1f} {y0 + thick:.1f} {x0:.1f} {y0 + thick:.1f}Z"
    )
