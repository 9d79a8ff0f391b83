"""A local Callcap server for tests: the documented API, with made-up calls.

It shares no code with the tap, so that it can be used to check the tap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tap_callcap.sandbox.answers import Answer, Asked, NoAnswerError
    from tap_callcap.sandbox.book import CallBook
    from tap_callcap.sandbox.call import VENDOR_EXAMPLE, Call
    from tap_callcap.sandbox.callcap import Callcap
    from tap_callcap.sandbox.made_up import made_up_calls
    from tap_callcap.sandbox.server import Sandbox
    from tap_callcap.sandbox.switches import BadSwitchError, Switches

__all__ = [
    "VENDOR_EXAMPLE",
    "Answer",
    "Asked",
    "BadSwitchError",
    "Call",
    "CallBook",
    "Callcap",
    "NoAnswerError",
    "Sandbox",
    "Switches",
    "made_up_calls",
]

_MODULES = {  # noqa: RUF067 - loaded when asked for
    "Answer": "answers",
    "Asked": "answers",
    "BadSwitchError": "switches",
    "Call": "call",
    "CallBook": "book",
    "Callcap": "callcap",
    "NoAnswerError": "answers",
    "Sandbox": "server",
    "Switches": "switches",
    "VENDOR_EXAMPLE": "call",
    "made_up_calls": "made_up",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of these
    """Load what is asked for: the command has to say so if its extra is not installed."""
    if name not in _MODULES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
