"""Markdown tables for reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def head(*cells: str) -> Iterator[str]:
    """The head of a table."""
    yield row(*cells)
    yield "|---" * len(cells) + "|"


def row(*cells: object) -> str:
    """A row of a table."""
    texts = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells)
    return f"| {' | '.join(texts)} |"
