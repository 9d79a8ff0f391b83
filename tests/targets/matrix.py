"""docs/targets.md, from a run of the tests."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from targets.environments import CHECKOUT, DAY, pip_url
from targets.loaders import LOADERS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from targets.loader import Loader

DOCUMENT = CHECKOUT / "docs" / "targets.md"
BEGIN = "<!-- matrix: from a run (pytest -m e2e --write-matrix) -->"
END = "<!-- matrix: end -->"
NEWEST = "Read the newest row of each call, [as this view does](warehouse.md#append-only-targets)."
COLUMNS = {
    "loads": "loads",
    "equal": "equal, field by field",
    "upsert": "upsert",
    "repeat": "second run changes nothing",
    "flattened": "flattened, 1 and 3 deep",
    "batch": "BATCH",
    "metadata": "metadata columns, hard deletes",
    "alone": "one call a batch",
}
"""The columns by the names that tests give them."""


class Matrix:
    """What the tests of a run found, by loader and column."""

    def __init__(self) -> None:
        """Begin without findings."""
        self._outcomes: dict[tuple[str, str], list[str]] = defaultdict(list)

    def add(self, loader: type[Loader], column: str, outcome: str) -> None:
        """Take the outcome of a test: passed, failed, skipped, xfailed."""
        self._outcomes[loader.name, column].append(outcome)

    def write(self) -> None:
        """Bring docs/targets.md up to date.

        Raises:
            ValueError: If the tests of a target did not run, or one of them failed.
        """
        head, _, rest = DOCUMENT.read_text("utf-8").partition(BEGIN)
        tail = rest.partition(END)[2]
        section = "\n".join(self._lines())
        DOCUMENT.write_text(f"{head}{BEGIN}\n\n{section}\n\n{END}{tail}", encoding="utf-8")

    def _lines(self) -> Iterator[str]:
        notes: list[str] = []
        yield f"| target | version | {' | '.join(COLUMNS.values())} |"
        yield "|---|---|" + "---|" * len(COLUMNS)
        for loader in LOADERS:
            distribution = pip_url(loader.name)[0].partition("==")[0]
            version = loader.environment().version(distribution)
            name = f"{loader.title}: `{distribution}`{_mark(loader.stand_in, notes)}"
            cells = [self._cell(loader, column, notes) for column in COLUMNS]
            yield f"| {name} | {version} | {' | '.join(cells)} |"
        yield ""
        yield from (f"{number}. {note}" for number, note in enumerate(notes, 1))
        yield ""
        yield f"What each target depends on is the newest of {DAY} that its definition allows."

    def _cell(self, loader: type[Loader], column: str, notes: list[str]) -> str:
        outcomes = set(self._outcomes[loader.name, column])
        if outcomes == {"xfailed"}:
            return f"no{_mark(loader.cannot[column], notes)}"
        if outcomes != {"passed"}:
            msg = f"{loader.name}, {column}: {', '.join(outcomes) or 'not run'}"
            raise ValueError(msg)
        if column == "upsert" and loader.appends:
            return f"appends{_mark(NEWEST, notes)}"
        if column == "equal":
            return f"yes{_mark(loader.equality, notes)}"
        return "yes"


def _mark(note: str, notes: list[str]) -> str:
    """Return the mark of a note, of which there may be none."""
    if not note:
        return ""
    if note not in notes:
        notes.append(note)
    return f" [{notes.index(note) + 1}]"
