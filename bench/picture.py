"""Draws the scaling figures as an SVG: one small chart a scale."""

import math
from typing import Any

WIDTH, HEIGHT, GAP, TOP = 230, 150, 30, 40
COLUMNS = 4
ROW = HEIGHT + TOP + 30


def draw(found: "dict[str, Any]") -> str:
    """The picture of what `bench.scaling --json` wrote."""
    scales = found["scales"]
    width, height = COLUMNS * (WIDTH + GAP) + GAP, -(-len(scales) // COLUMNS) * ROW + 24
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for place, (title, figures) in enumerate(scales.items()):
        row, column = divmod(place, COLUMNS)
        parts.append(f'<g transform="translate({GAP + column * (WIDTH + GAP)},{row * ROW})">')
        parts += _chart(title, {int(size): value for size, value in figures.items()})
        parts.append("</g>")
    note = f"median of pairs with the bare interpreter; Python {found['python']}, {found['machine']}"
    parts.append(f'<text x="{GAP}" y="{height - 8}" font-size="10" fill="#666">{note}</text></svg>')
    return "\n".join(parts) + "\n"


def _chart(title: str, figures: "dict[int, float]") -> "list[str]":
    sizes = list(figures)
    span = math.log(sizes[-1] / sizes[0]) or 1.0
    highest = max(2.0, *figures.values())

    def spot(size: int) -> "tuple[float, float]":
        return 10 + (WIDTH - 30) * math.log(size / sizes[0]) / span, TOP + HEIGHT * (1 - figures[size] / highest)

    floor = TOP + HEIGHT * (1 - 1 / highest)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(spot, sizes))
    parts = [
        f'<text x="0" y="{TOP - 18}" font-size="13">{title}</text>',
        f'<line x1="0" y1="{TOP + HEIGHT}" x2="{WIDTH}" y2="{TOP + HEIGHT}" stroke="#999"/>',
        f'<line x1="0" y1="{floor:.1f}" x2="{WIDTH}" y2="{floor:.1f}" stroke="#ccc" stroke-dasharray="4"/>',
        f'<polyline points="{line}" fill="none" stroke="#1a7f5a" stroke-width="2"/>',
    ]
    for size in sizes:
        x, y = spot(size)
        parts += [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#1a7f5a"/>',
            f'<text x="{x:.1f}" y="{y - 8:.1f}" font-size="10" text-anchor="middle">{figures[size]:.2f}</text>',
            f'<text x="{x:.1f}" y="{TOP + HEIGHT + 14}" font-size="10" text-anchor="middle">{size:,}</text>',
        ]
    return parts
