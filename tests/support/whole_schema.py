"""The schema of all settings, including the SDK's."""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

from tap_callcap.settings import SETTINGS
from tap_callcap.tap import TapCallcap

if TYPE_CHECKING:
    from tap_callcap.records.schema import JSONSchema

KEY = {"api_key": "0123456789abcdef"}


WHOLE_SCHEMA: JSONSchema = deepcopy(SETTINGS)

TapCallcap.append_builtin_config(WHOLE_SCHEMA)
