"""docs/targets.md, from a run of the tests."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from support.tables import head, row
from targets.environments import CHECKOUT, DAY, DEFINITIONS, pip_url
from targets.loaders import LOADERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from targets.loader import Loader

DOCUMENT = CHECKOUT / "docs" / "targets.md"
BEGIN = "<!-- matrix: from a run (pytest -m e2e --write-matrix) -->"
END = "<!-- matrix: end -->"
NEWEST = "Read the newest row of each call, [as this view does](warehouse.md#append-only-targets)."
WAYS_BEGIN = "<!-- ways: from the same run, docs/killed-together.md and docs/stops.md -->"
WAYS_END = "<!-- ways: end -->"
WAYS = (
    "target",
    "method",
    "equal",
    "refused rows noticed",
    "killed together",
    "a stop costs",
    "fastest proven way",
)
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
        """Bring docs/targets.md up to date; a run of some tests updates the second table only.

        Raises:
            ValueError: If the tests of a target did not run, or one of them failed.
        """
        text = DOCUMENT.read_text("utf-8")
        if {column for _, column in self._outcomes} >= COLUMNS.keys():
            text = replaced(text, BEGIN, END, self._lines())
        before = between(text, WAYS_BEGIN, WAYS_END).splitlines()
        text = replaced(text, WAYS_BEGIN, WAYS_END, self._ways(before))
        DOCUMENT.write_text(text, encoding="utf-8")

    def _ways(self, before: list[str]) -> Iterator[str]:
        """What matters most, in a row for each target; one whose tests did not run stays."""
        yield from head(*WAYS)
        for loader in LOADERS:
            outcomes = {
                column: {*self._outcomes[loader.name, column]} for column in ("equal", "refused")
            }
            if all(outcomes.values()):
                refused = "yes" if outcomes["refused"] == {"passed"} else "it refuses none"
                yield row(
                    loader.title,
                    loader.method,
                    "yes" if outcomes["equal"] == {"passed"} else "no",
                    refused,
                    killed_together(loader),
                    cost_of_a_stop(loader),
                    "[below](#the-fastest-way-into-each-target)",
                )
            else:
                yield from (line for line in before if line.startswith(f"| {loader.title} |"))

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


def between(text: str, begin: str, end: str) -> str:
    """Return what stands between two marks."""
    return text.partition(begin)[2].partition(end)[0]


def replaced(text: str, begin: str, end: str, lines: Iterable[str]) -> str:
    """Return a text with other lines between two marks."""
    start, _, rest = text.partition(begin)
    section = "\n".join(lines)
    return f"{start}{begin}\n\n{section}\n\n{end}{rest.partition(end)[2]}"


def killed_together(loader: type[Loader]) -> str:
    """Return what docs/killed-together.md says of a target."""
    for line in (CHECKOUT / "docs" / "killed-together.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] == loader.title:
            histories, *_, lost, doubled, older = cells[1:8]
            return f"{histories} histories: {lost} lost, {doubled} doubled, {older} older"
    return "not tried"


def cost_of_a_stop(loader: type[Loader]) -> str:
    """Return what a stop costs where meltano.yml runs the target in parts, or without."""
    (definition,) = (it for it in DEFINITIONS["plugins"]["loaders"] if it["name"] == loader.name)
    if not definition["executable"].endswith("callcap-load"):
        return "all since the last STATE: five minutes, or the whole run"
    return "[a part](#what-a-stop-costs)"
