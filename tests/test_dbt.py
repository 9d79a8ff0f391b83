"""The dbt package has the columns and the descriptions of the schemas."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from support.written_dbt import (
    COLUMNS,
    PACKAGE,
    STAGING,
    WRITTEN,
    brought_up_to_date,
    description_of,
    kind_of,
)

if TYPE_CHECKING:
    from pathlib import Path

MODELS: dict[str, dict[str, Any]] = {
    model["name"]: model
    for file in WRITTEN
    for model in yaml.safe_load(file.read_text("utf-8"))["models"]
}
FILES = {file.stem: file for file in (PACKAGE / "models").glob("*/*.sql")}
OWN = {  # columns of staging models that no schema has: places in arrays
    "stg_callcap__summaries": {"summary_number"},
    "stg_callcap__csr_access": {"access_number"},
    "stg_callcap__scorecard_answers": {"scorecard_number", "question_number", "answer_number"},
}


@pytest.mark.parametrize("file", WRITTEN, ids=lambda file: str(file.name))
def test_descriptions_are_those_of_the_schemas(file: Path) -> None:
    """A column is described as its property is: else run written_dbt.py."""
    text = file.read_text("utf-8")

    assert text == brought_up_to_date(text)


def test_every_model_is_described() -> None:
    """Each model and each of its columns has a description."""
    assert MODELS.keys() == FILES.keys()
    for model in MODELS.values():
        assert model["description"]
        assert [it["name"] for it in model["columns"] if not it["description"]] == []


@pytest.mark.parametrize("model", COLUMNS)
def test_staging_has_every_property(model: str) -> None:
    """Each property is a column with its type, in the model and in its documentation."""
    sql = FILES[model].read_text("utf-8")
    wanted = {
        (".".join(path), kind_of(part), name) for name, (path, part) in COLUMNS[model].items()
    }
    found = {
        (path, kind or "string", name)
        for path, kind, name in re.findall(
            r"(?:field\(columns|element\(\w+, '\w+'), '([\w.]+)'(?:, '(\w+)')?\) \}\} as (\w+)", sql
        )
    }

    assert found == wanted
    documented = {column["name"] for column in MODELS[model]["columns"]}
    assert documented == COLUMNS[model].keys() | OWN.get(model, set())


def test_a_changed_description_is_noticed() -> None:
    """The generator writes over what is not the schema's, and leaves alone what is not from it."""
    text = (STAGING / "stg_callcap.yml").read_text("utf-8")
    described = description_of("stg_callcap__calls", "campaign_name")
    assert described

    assert brought_up_to_date(text.replace(described, "Something else.")) == text
    assert description_of("callcap__daily", "revenue") is None
