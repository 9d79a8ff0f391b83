"""Generates the settings and filters in README, meltano.yml and other files from the code.

To update these files, run `uv run tests/support/written_settings.py`.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING, Any

import yaml

from tap_callcap.environment import ENVIRONMENT_PREFIX
from tap_callcap.settings import SETTINGS

sys.path.insert(0, str(Path(__file__).parents[1]))  # run as a script, Python adds only this folder

from support.written_filters import filters_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tap_callcap.records.schema import JSONSchema

CHECKOUT = Path(__file__).parents[2]
PROPERTIES: dict[str, JSONSchema] = SETTINGS["properties"]


def type_of(setting: JSONSchema) -> str:
    """Return the type of a setting, without null; `date-time` for a date-time."""
    (kind,) = set(setting["type"]) - {"null"}
    return str(setting.get("format", kind))


def readme_table() -> str:
    """Return the settings as a Markdown table."""
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


KINDS = {  # names of types in Meltano
    "array": "array",
    "boolean": "boolean",
    "date-time": "date_iso8601",
    "integer": "integer",
    "number": "string",  # Meltano fails on a decimal from the environment; before 3.9 it knows none
    "object": "object",
    "string": "string",
}


HUB_HEADER = """\
# The tap's definition for Meltano, from meltano.yml (tests/support/written_settings.py). To use it
# in a project of your own (Meltano 3.9 or later), without Meltano Hub:
#   meltano add --plugin-type extractor tap-callcap --from-ref PATH_OF_THIS_FILE
# The tap is installed from CALLCAP_REPOSITORY: set that variable to the address of the tap's Git
# repository, for example in the project's .env. Meltano does not take `select` from this file; by
# its default, `*.*`, the tap reads the stream calls without demographics.
# For a listing on Meltano Hub, put the address itself into pip_url and add it as `repo`.
"""

HUB_METADATA = {
    "domain_url": "https://www.callcap.com",
    "logo_url": "/assets/logos/extractors/callcap.svg",  # docs/callcap.svg
    "keywords": ["api", "call tracking", "meltano_sdk", "phone calls"],
    "maintenance_status": "active",
    "definition": "is used to copy phone calls and text conversations from Callcap call tracking.",
    "prereq": (
        "You need an API key: you find it in the Callcap app, under My Profile. The tap reads the "
        "calls that its login can see.\n"
    ),
    "usage": (
        "To try the tap without an account, install it with the extra `sandbox`, run "
        "`callcap-sandbox`, and set `api_url` and `api_key` to the values that it prints.\n"
    ),
}


def hub_definition() -> str:
    """Return the whole definition for projects of others and for Meltano Hub."""
    meltano = yaml.safe_load(brought_up_to_date("meltano.yml"))
    extractor = meltano["plugins"]["extractors"][0]
    settings = extractor.pop("settings")
    extractor.pop("config")
    definition = extractor | {"variant": "tap-callcap", "pip_url": "git+${CALLCAP_REPOSITORY}"}
    definition |= HUB_METADATA | {"settings": settings}
    text: str = yaml.safe_dump(definition, sort_keys=False, allow_unicode=True, width=1000)
    return HUB_HEADER + text


def settings_of_meltano() -> str:
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
    """Return the settings as Meltano defines them, indented for meltano.yml."""
    return indent(settings_of_meltano(), "    ")


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
    "docs/meltano-hub.yml": hub_definition,
}
"""The generated files, and the function that returns the text between their two markers, or all."""

MARKED = re.compile(
    r"(?P<begin>^[^\n]*settings: from the code[^\n]*\n)"
    r".*?"
    r"(?P<end>^[^\n]*settings: end[^\n]*$)",
    re.DOTALL | re.MULTILINE,
)


def brought_up_to_date(file: str) -> str:
    """Return the text of a file with its generated part updated."""
    if WRITTEN[file] is hub_definition:
        return hub_definition()
    text = (CHECKOUT / file).read_text(encoding="utf-8")
    section = WRITTEN[file]()
    gap = "\n" if file.endswith(".md") else ""  # Markdown needs it between comment and table
    updated, count = MARKED.subn(
        lambda found: f"{found['begin']}{gap}{section}\n{gap}{found['end']}", text
    )
    if count != 1:
        msg = f"{file} has {count} pairs of markers for generated text; it needs exactly one"
        raise ValueError(msg)
    return updated


if __name__ == "__main__":
    for name in WRITTEN:
        (CHECKOUT / name).write_text(brought_up_to_date(name), encoding="utf-8")
