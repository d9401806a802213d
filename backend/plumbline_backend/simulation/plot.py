"""The learning curve as an SVG file that needs no library: median, quartiles, and the share lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

from plumbline_backend.simulation.one_run import SeedCurve
from plumbline_backend.simulation.summary import SHARES, median_curve

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 420, 64, 96, 40, 52
Place = Callable[[float, float], str]
"""Labels and accuracy to "x,y" on the picture."""
_INK, _MUTED, _GRID, _LINE = "#1c2733", "#5a6875", "#dfe4e9", "#0b6bcb"


def write_plot(path: Path, curves: Sequence[SeedCurve], title: str) -> None:
    """Write the curve of `curves`; the title says what was simulated."""
    path.write_text(plot(curves, title), encoding="utf-8")


def plot(curves: Sequence[SeedCurve], title: str) -> str:
    """SVG text, 720 x 420."""
    rows = median_curve(curves)
    full = sum(curve.full_accuracy for curve in curves) / len(curves)
    most = max(n for n, *_ in rows)
    lowest = min(min(low for _, _, low, _ in rows), 0.9 * full)
    low, high = max(0.0, lowest - 0.03), min(1.0, max(full, max(top for *_, top in rows)) + 0.02)

    def at(n: float, accuracy: float) -> str:
        x = LEFT + (WIDTH - LEFT - RIGHT) * n / max(most, 1)
        y = TOP + (HEIGHT - TOP - BOTTOM) * (high - accuracy) / max(high - low, 1e-9)
        return f"{x:.1f},{y:.1f}"

    band = [at(n, a) for n, _, a, _ in rows] + [at(n, a) for n, _, _, a in reversed(rows)]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="12" fill="{_INK}">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="22" font-size="14" font-weight="700">{escape(title)}</text>',
        *_shares(at, full, low, most),
        *_ticks(at, low, high, most),
        f'<polygon points="{" ".join(band)}" fill="{_LINE}" opacity="0.15"/>',
        f'<polyline points="{" ".join(at(n, a) for n, a, *_ in rows)}" fill="none" stroke="{_LINE}" stroke-width="2"/>',
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
        f"labels (median and quartiles of {len(curves)} seeds)</text>",
        f'<text x="16" y="{(TOP + HEIGHT - BOTTOM) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 16 {(TOP + HEIGHT - BOTTOM) / 2})">test accuracy</text>',
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


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
