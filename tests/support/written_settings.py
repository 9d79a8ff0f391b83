"""Where the settings stand for people, from the code: README, meltano.yml and others.

To bring those files up to date: `PYTHONPATH=tests ./uvw run tests/support/written_settings.py`.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import yaml

from support.written_filters import filters_table
from tap_callcap.settings import ENVIRONMENT_PREFIX, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_callcap.records.schema import JSONSchema

CHECKOUT = Path(__file__).parents[2]
PROPERTIES: dict[str, JSONSchema] = SETTINGS["properties"]


def type_of(setting: JSONSchema) -> str:
    """Return the one type of a setting, null apart; `date-time` where it is one."""
    (kind,) = set(setting["type"]) - {"null"}
    return str(setting.get("format", kind))


def readme_table() -> str:
    """Return the settings as a table in Markdown."""
    lines = ["| Setting | Type | Default | Meaning |", "|---|---|---|---|"]
    for name, setting in PROPERTIES.items():
        default = f"`{setting['default']}`" if "default" in setting else "none"
        if name in SETTINGS["required"]:
            default = "required"
        if setting.get("secret"):
            default += ", secret"
        meaning = setting["description"].replace("<", "&lt;")
        lines.append(f"| `{name}` | {type_of(setting)} | {default} | {meaning} |")
    return "\n".join(lines)


KINDS = {  # Meltano's words
    "array": "array",
    "boolean": "boolean",
    "date-time": "date_iso8601",
    "integer": "integer",
    "number": "decimal",
    "object": "object",
    "string": "string",
}


def hub_settings() -> str:
    """Return the settings as Meltano defines them."""

    def definitions() -> Iterator[dict[str, Any]]:
        for name, setting in PROPERTIES.items():
            definition = {"name": name, "label": setting["title"], "kind": KINDS[type_of(setting)]}
            if "default" in setting:
                definition["value"] = setting["default"]
            if setting.get("secret"):
                definition["sensitive"] = True
            yield definition | {"description": setting["description"]}

    text: str = yaml.safe_dump(list(definitions()), sort_keys=False, allow_unicode=True, width=1000)
    return text.rstrip()


def meltano_settings() -> str:
    """Return the same, indented for their place in meltano.yml."""
    return indent(hub_settings(), "    ")


def environment_example() -> str:
    """Return a .env with every setting; only the required ones are not commented out."""
    blocks = []
    for name, setting in PROPERTIES.items():
        value = setting.get("default", *setting.get("examples", [""])[:1])
        if isinstance(value, (dict, list)):
            value = f"'{json.dumps(value)}'"
        elif " " in str(value):
            value = f'"{value}"'
        mark = "" if name in SETTINGS["required"] else "# "
        blocks.append(
            f"# {setting['description']}\n{mark}{ENVIRONMENT_PREFIX}{name.upper()}={value}"
        )
    return "\n\n".join(blocks)


WRITTEN = {
    "README.md": readme_table,
    "meltano.yml": meltano_settings,
    ".env.example": environment_example,
    "docs/filters.md": filters_table,
    "docs/meltano-hub.yml": hub_settings,
}
"""The files, each with what it says between its two markers."""

MARKED = re.compile(
    r"(?P<begin>^[^\n]*settings: from the code[^\n]*\n)"
    r".*?"
    r"(?P<end>^[^\n]*settings: end[^\n]*$)",
    re.DOTALL | re.MULTILINE,
)


def brought_up_to_date(file: str) -> str:
    """Return the text of a file as it should be."""
    text = (CHECKOUT / file).read_text(encoding="utf-8")
    section = WRITTEN[file]()
    gap = "\n" if file.endswith(".md") else ""  # Markdown parts a table from a comment
    updated, count = MARKED.subn(
        lambda found: f"{found['begin']}{gap}{section}\n{gap}{found['end']}", text
    )
    if count != 1:
        msg = f"{file} has {count} places for the settings between markers, and should have one"
        raise ValueError(msg)
    return updated


if __name__ == "__main__":
    for name in WRITTEN:
        (CHECKOUT / name).write_text(brought_up_to_date(name), encoding="utf-8")
