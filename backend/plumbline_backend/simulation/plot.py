"""Learning curves as an SVG file that needs no library: median, quartiles, and the share lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from html import escape
from pathlib import Path

from plumbline_backend.simulation.one_run import SeedCurve
from plumbline_backend.simulation.summary import SHARES, median_curve

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 420, 64, 96, 40, 52
Place = Callable[[float, float], str]
"""Labels and accuracy to "x,y" on the picture."""
_INK, _MUTED, _GRID = "#1c2733", "#5a6875", "#dfe4e9"
_LINES = (
    ("#0b6bcb", ""),
    ("#b3541e", "6 3"),
    ("#1b7f4b", "2 3"),
    ("#8a3ffc", "8 3 2 3"),
    ("#c2185b", "12 4"),
    ("#5a6875", "4 2"),
)
"""Colour and dash of each curve: colour is never the only carrier."""


def write_plot(path: Path, found: Mapping[str, Sequence[SeedCurve]], title: str) -> None:
    """Write the curves of each strategy, at most six; the title says what was simulated."""
    path.write_text(plot(found, title), encoding="utf-8")


def plot(found: Mapping[str, Sequence[SeedCurve]], title: str) -> str:
    """SVG text, 720 x 420: a line and a band for each name, named below the title where there are several."""
    rows = {name: median_curve(curves) for name, curves in found.items()}
    points = [point for each in rows.values() for point in each]
    curves = [curve for each in found.values() for curve in each]
    full = sum(curve.full_accuracy for curve in curves) / len(curves)
    most = max(n for n, *_ in points)
    lowest = min(min(low for _, _, low, _ in points), 0.9 * full)
    low, high = max(0.0, lowest - 0.03), min(1.0, max(full, max(top for *_, top in points)) + 0.02)

    def at(n: float, accuracy: float) -> str:
        x = LEFT + (WIDTH - LEFT - RIGHT) * n / max(most, 1)
        y = TOP + (HEIGHT - TOP - BOTTOM) * (high - accuracy) / max(high - low, 1e-9)
        return f"{x:.1f},{y:.1f}"

    seeds = max(len(each) for each in found.values())
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="22" font-size="14" font-weight="700">{escape(title)}</text>',
        *_shares(at, full, low, most),
        *_ticks(at, low, high, most),
        *_curves(at, rows),
        *(_names(tuple(rows)) if len(rows) > 1 else ()),
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
        f"labels (median and quartiles of {seeds} seeds)</text>",
        f'<text x="16" y="{(TOP + HEIGHT - BOTTOM) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 16 {(TOP + HEIGHT - BOTTOM) / 2})">test accuracy</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _curves(at: Place, rows: Mapping[str, Sequence[tuple[int, float, float, float]]]) -> list[str]:
    parts = []
    for each, (color, dash) in zip(rows.values(), _LINES, strict=False):
        band = [at(n, a) for n, _, a, _ in each] + [at(n, a) for n, _, _, a in reversed(each)]
        line = " ".join(at(n, a) for n, a, *_ in each)
        parts += [
            f'<polygon points="{" ".join(band)}" fill="{color}" opacity="{0.15 / len(rows):.3f}"/>',
            f'<polyline points="{line}" fill="none" stroke="{color}" stroke-width="2" stroke-dasharray="{dash}"/>',
        ]
    return parts


def _names(names: Sequence[str]) -> list[str]:
    """A short piece of each line with its name, from the bottom right upwards, where curves rarely are."""
    parts, right = [], WIDTH - RIGHT
    for i, (name, (color, dash)) in enumerate(
        zip(reversed(names), reversed(_LINES[: len(names)]), strict=True)
    ):
        y = HEIGHT - BOTTOM - 12 - 16 * i
        parts += [
            f'<line x1="{right - 190}" y1="{y - 4}" x2="{right - 160}" y2="{y - 4}" stroke="{color}" '
            f'stroke-width="2" stroke-dasharray="{dash}"/>',
            f'<text x="{right - 154}" y="{y}">{escape(name)}</text>',
        ]
    return parts


def _shares(at: Place, full: float, low: float, most: int) -> list[str]:
    """A dashed line at each share of the full pool's accuracy, named at its right end."""
    lines = []
    for percent in (*SHARES, 100):
        accuracy = percent / 100 * full
        if accuracy < low:
            continue
        (x1, y), x2 = at(0, accuracy).split(","), at(most, accuracy).split(",")[0]
        lines.append(
            f'<line x1="{x1}" y1="{y}" x2="{x2}" y2="{y}" stroke="{_MUTED}" stroke-dasharray="4 4"/>'
        )
        lines.append(
            f'<text x="{float(x2) + 6}" y="{float(y) + 4}" fill="{_MUTED}">{percent} % of full</text>'
        )
    return lines


def _ticks(at: Place, low: float, high: float, most: int) -> list[str]:
    lines = []
    for i in range(5):
        accuracy, n = low + (high - low) * i / 4, round(most * i / 4)
        (x, y), across = at(0, accuracy).split(","), at(n, low).split(",")[0]
        lines.append(f'<line x1="{x}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="{_GRID}"/>')
        lines.append(
            f'<text x="{LEFT - 8}" y="{float(y) + 4}" text-anchor="end" fill="{_MUTED}">{accuracy:.2f}</text>'
        )
        lines.append(
            f'<text x="{across}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="{_MUTED}">{n}</text>'
        )
    return lines
