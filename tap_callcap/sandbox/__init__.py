"""A local Callcap server for tests: the documented API, with made-up calls.

It shares no code with the tap, so that it can be used to check the tap.
"""

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
