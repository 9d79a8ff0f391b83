"""The settings in the environment, and variables under the tap's prefix that have no effect.

Meltano exports the settings of a plugin in three forms besides those that the tap reads: parts of
an object (`TAP_CALLCAP_FILTERS_DIVISION_ID`), its own extras (`TAP_CALLCAP__SELECT`), and all of
them again under the name of each plugin that inherits from this one (`TAP_CALLCAP_EU_API_KEY`).
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeAlias

from dotenv import dotenv_values
from singer_sdk.exceptions import ConfigurationError

from tap_callcap.api.filter_table import FILTERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from tap_callcap.records.schema import JSONSchema

ENVIRONMENT_PREFIX = "TAP_CALLCAP_"
LOG_LEVEL = f"{ENVIRONMENT_PREFIX}LOGLEVEL"  # no setting: the SDK reads it

Environment: TypeAlias = "Mapping[str, str | None]"


def read_dotenv() -> dict[str, str | None]:
    """The variables in `.env` of the working folder.

    The SDK would take a `.env` from any folder above, and put all of it into the environment.

    Raises:
        ConfigurationError: If the file is not text.
    """
    try:
        return dict(dotenv_values(".env"))
    except UnicodeDecodeError:
        msg = "The file .env in the working folder is not UTF-8 text"
        raise ConfigurationError(msg) from None


def read_environment(environment: Environment, schema: JSONSchema) -> dict[str, Any]:
    """The settings in `environment`, with the types that `schema` gives them.

    A text that does not fit its type stays text, which `validation` reports. An empty variable is
    ignored.
    """
    config: dict[str, Any] = {}
    for name, part in schema["properties"].items():
        text = environment.get(ENVIRONMENT_PREFIX + name.upper())
        if text:
            config[name] = typed(text, part.get("type", []))
    return config


def unused_variables(
    environment: Environment, schema: JSONSchema, config: Mapping[str, Any], *, is_read: bool
) -> Iterator[str]:
    """A line for each variable under the tap's prefix that does not do what it seems to ask for.

    Args:
        environment: The environment.
        schema: The schema of all settings.
        config: What the run is configured with.
        is_read: Whether the settings in the environment are part of it.
    """
    known = {name.upper(): part for name, part in schema["properties"].items()}
    in_config = dict(_exported(config))
    plugins = _of_other_plugins(known) if environment.get("MELTANO_EXTRACTOR_NAME") else None
    unread = []
    for variable, text in sorted(environment.items()):
        prefix, name = variable[: len(ENVIRONMENT_PREFIX)], variable[len(ENVIRONMENT_PREFIX) :]
        if prefix.upper() != ENVIRONMENT_PREFIX or not text or name.startswith("_"):
            continue
        if variable == LOG_LEVEL or (name in in_config and _means(text, in_config[name])):
            continue
        if variable != variable.upper() or name not in known:
            if plugins is None or not plugins.search(name):
                shown = repr(variable)[1:-1]  # a name may have a line break
                yield f"The variable {shown} is not a setting: {_hint(name.upper(), known)}"
        elif not is_read:
            unread.append(variable)
    if unread:
        why = "Without --config=ENV" if plugins is None else "Without settings in meltano.yml"
        yield f"{why} these variables are not used: {', '.join(unread)}"


def _exported(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The names of variables, without the prefix, that Meltano makes of a config; their values."""
    for key, value in config.items():
        name = prefix + re.sub(r"[^A-Za-z0-9]", "_", key).upper()
        yield name, value
        if isinstance(value, dict):
            yield from _exported(value, f"{name}_")


def _of_other_plugins(known: Iterable[str]) -> re.Pattern[str]:
    """Matches names that belong to Meltano plugins which inherit from this one."""
    names = "|".join(known)
    return re.compile(rf"_({names})(_|$)|^(?!({names})_).*__")


def _means(text: str, value: Any) -> bool:  # noqa: ANN401 - any type of JSON
    """Whether the text of a variable is that of `value`, as Meltano exports it."""
    if isinstance(value, bool):
        text = text.lower()
    try:
        return text == value or bool(json.loads(text, parse_float=Decimal) == value)
    except ValueError:
        return False


def _hint(name: str, known: Mapping[str, JSONSchema]) -> str:
    """What to set in place of the variable `name`, which is in upper case and without prefix."""
    filter_name = name.removeprefix("FILTERS_").strip("_").lower()
    if filter_name in FILTERS:
        return f"""write {ENVIRONMENT_PREFIX}FILTERS='{{"{filter_name}": …}}'"""
    for setting, part in known.items():
        if name.startswith(f"{setting}_") and not {"array", "object"}.isdisjoint(part["type"]):
            return f"write it as JSON in {ENVIRONMENT_PREFIX}{setting}"
    near = get_close_matches(name, [*known, "LOGLEVEL"], n=1)
    return f"did you mean {ENVIRONMENT_PREFIX}{near[0]}?" if near else "--about lists all settings"


def typed(text: str, kinds: str | list[str]) -> Any:  # noqa: ANN401 - any type of JSON
    """`text` as a value of one of the types `kinds`, or unchanged if it is none."""
    if "string" in kinds:
        return text
    if "boolean" in kinds:
        return {"true": True, "1": True, "false": False, "0": False}.get(text.lower(), text)
    try:
        return json.loads(text)
    except ValueError:
        return text
