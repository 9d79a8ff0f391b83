"""docs/doctor.md explains the questions that the command asks."""

from __future__ import annotations

from support.written_doctor import DOCUMENT, MARKED, ODD
from tap_callcap.doctor.probes import QUESTIONS

TEXT = DOCUMENT.read_text(encoding="utf-8")


def tables() -> list[list[tuple[str, str]]]:
    """The first two cells of each row of each table, without heads."""
    found: list[list[tuple[str, str]]] = []
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|---"):
            found.append([])
        elif line.startswith("| ") and cells[0] != "Question":
            found[-1].append((cells[0], cells[1]))
    return found


def test_the_document_explains_every_question() -> None:
    """In the order of the command, with what the tap relies on."""
    assert tables()[0] == [(question.text, question.relies) for question in QUESTIONS]


def test_the_document_shows_six_sandboxes() -> None:
    """The default one whole, the others as far as they differ: else run written_doctor.py."""
    assert MARKED.search(TEXT)
    _, default, *others = tables()
    asked = [question.text for question in QUESTIONS]
    assert [text for text, _ in default] == asked
    assert len(others) == len(ODD)
    for rows, switches in zip(others, ODD.values(), strict=True):
        assert rows
        assert {text for text, _ in rows} <= set(asked)
        assert all(f"`{name}=" in TEXT for name in switches)
