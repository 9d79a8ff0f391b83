"""Draws the bar chart of the benchmarks, as SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

WIDTH, ROW, HEAD = 760, 24, 36
LABELS = 220  # where the bars begin
NUMBERS = 80  # right of the longest bar
OURS = "tap-callcap"
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 }
.bar { fill: #a8b1bb }
.ours { fill: #1a7f37 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .bar { fill: #59636e }
  .ours { fill: #3fb950 }
}
"""


def chart(panels: Mapping[str, Mapping[str, float]]) -> str:
    """One panel below the other, a bar for each number, calls a second."""
    height = sum(HEAD + ROW * len(bars) for bars in panels.values()) + ROW
    box = f'xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
    lines = [f'<svg {box} role="img" aria-label="Calls a second">', f"<style>{STYLE}</style>"]
    top = 0
    for title, bars in panels.items():
        lines.extend(_panel(f"{title}: calls a second", bars, top))
        top += HEAD + ROW * len(bars)
    return "\n".join([*lines, "</svg>", ""])


def _panel(title: str, bars: Mapping[str, float], top: int) -> Iterator[str]:
    scale = (WIDTH - LABELS - NUMBERS) / max(bars.values(), default=1.0)
    yield f'<text class="title" x="0" y="{top + 22}">{escape(title)}</text>'
    for row, (name, value) in enumerate(bars.items()):
        y = top + HEAD + ROW * row
        kind = "bar ours" if name.startswith(OURS) else "bar"
        width = max(1.0, value * scale)
        yield f'<text x="{LABELS - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
        yield f'<rect class="{kind}" x="{LABELS}" y="{y}" width="{width:.1f}" height="{ROW - 6}"/>'
        yield f'<text x="{LABELS + width + 6:.1f}" y="{y + 13}">{value:,.0f}</text>'
