"""A call as the sandbox stores it, before it is rendered for an answer."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, Final, TypeAlias

Call: TypeAlias = dict[str, Any]
"""One call or text conversation, with the structure and field names of the API.

Shape: every top-level field of `VENDOR_EXAMPLE` is present, None if it has no value.
`start_datetime`, `last_modified`, `end_datetime` and `callsaver.date` are aware UTC datetimes with
whole seconds; numbers with decimals are `Decimal`. Calls are shared and never changed: an edit
makes a new dict.
"""

_LOREM = (
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut "
    "labore et dolore magna aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco "
    "laboris nisi ut aliquip ex ea commodo consequat. Duis aute irure dolor in reprehenderit in "
    "voluptate velit esse cillum dolore eu fugiat nulla pariatur. Excepteur sint occaecat "
    "cupidatat non proident, sunt in culpa qui officia deserunt mollit anim id est laborum."
)


def _score(entry: bool | str, points: int) -> Call:  # noqa: FBT001 - a value, not a flag
    return {
        "entry": entry,
        "value": points,
        "max_value": Decimal(f"{points}.0000"),
        "min_value": Decimal("0.0000"),
    }


VENDOR_EXAMPLE: Final[Call] = {
    "call_id": "987654_23_11_19_2012_17:07:29_12",
    "recording": "https://app.callcap.com/recording/987654_23_11_19_2012_10_01_29_12.mp3",
    "action": "Answer",
    "start_datetime": datetime(2020, 9, 1, 14, 7, 15, tzinfo=timezone.utc),
    "last_modified": datetime(2021, 11, 2, 0, 10, 46, tzinfo=timezone.utc),
    "end_datetime": datetime(2020, 9, 1, 14, 47, 15, tzinfo=timezone.utc),
    "dtmf": "123#",
    "import": {"reference_id": "zyx321_xyz"},
    "sentiment": {
        "frustrated_reason": "",
        "concern_class": "",
        "sentiment": "Neutral",
        "frustrated": False,
        "view_reason": "The caller was reaching out to confirm their appointment time.",
        "view": "Neutral",
        "satisfied": True,
    },
    "duration": 570,
    "rings": 4,
    "revenue": 0,
    "notes": (
        "-----{Callsurance update: 11/19/12 5:10 PM Agent: Administrator}----- CSR did not say "
        "name. The caller would like to set an appointment to fix their leaking sink. "
        "Positive/Plumbing Appt"
    ),
    "caller": {
        "city": "Wichita",
        "class": "Residential",
        "state": "KS",
        "name": "John Danger Doe",
        "address": "NF",
        "zip": "67202",
        "caller_id": "316-555-3333",
    },
    "demographics": {
        "person": {},
        "demographics": {},
        "property": {},
        "addresses": [],
        "emails": [],
        "vehicles": [],
    },
    "callsurance": {
        "major": {"label": "Positive", "id": 1},
        "minor": {"label": "Appointment Booked", "id": 54800824},
        "csr": {"id": 0, "name": "Administrator"},
        "change_request": {
            "status": "Approved",
            "major": {"label": "Positive", "id": 1},
            "csr": {"id": 1122334, "name": "Fred Smith"},
            "original": {
                "csr": {"id": 123456, "name": "Tony Jones"},
                "major": {"label": "Negative", "id": 2},
                "minor": {"label": "No sale", "id": 7654321, "tag": "noSale"},
            },
            "customer": {"email": "melissa.zhang@example.com", "name": "Melissa Zhang"},
            "minor": {
                "label": "Appointment Booked",
                "id": 12345678,
                "tag": "appointmentBooked",
            },
            "inaccuracy": "Callsurance Analyst Mistake",
        },
    },
    "callsaver": {
        "date": datetime(2020, 6, 12, 21, 46, 33, tzinfo=timezone.utc),
        "outcome": {"label": "Lost", "id": 2},
        "reason": {
            "label": "Customer repaired problem",
            "id": 111,
            "opportunity": True,
        },
        "user": {
            "lastname": "Smith",
            "firstname": "Jane",
            "email": "jane.smith@example.com",
        },
    },
    "webmatch": {
        "ad_group": "",
        "creative_id": "",
        "search": "air conditioning service and repair",
        "keyword_id": "",
        "ad_placement": "",
        "referrer": (
            "http://www.google.com/url?sa=t&rct=j&q=air conditioning service and repair"
            "&source=web&cd=4&ved=0CGIQFjAD&url=http://www.example.com/"
        ),
        "traffic_type": "organic",
        "call_page": "http://www.example.com/",
        "visitor": {
            "device": {"type": "mobile"},
            "os": {"name": "Android", "version": "4.4.2"},
            "browser": {"name": "Chrome", "version": "28.0.1500.94"},
        },
    },
    "summaries": [
        {"type": "Outcome Focused", "text": _LOREM},
        {"type": "Agent Focused", "text": _LOREM},
    ],
    "scorecards": [
        {
            "name": "Scorecard name",
            "results": [
                {
                    "question": "Did the CSR answer the phone with the Shop Name? ",
                    "answers": [_score(True, 8)],  # noqa: FBT003 - a value, not a flag
                },
                {
                    "question": "What products did they request? ",
                    "answers": [_score("Widgets", 2), _score("Gadgets", 2)],
                },
            ],
        },
    ],
    "accounts": {
        "corporate": {"id": 1, "name": "Callcap"},
        "division": {
            "external_id": "abc123",
            "id": 1669,
            "name": "Midwest",
            "corporate_label": "3555",
        },
        "location": {
            "external_id": "abc987",
            "id": 222222,
            "corporate_label": "3555",
            "name": "Example Location No. 3555",
        },
        "campaign": {
            "id": 111111,
            "callcap_number": "866-555-4444",
            "dialed_number": "866-555-4446",
            "destination_number": "316-555-5555",
            "ivr_option": 2,
            "medium": "Website",
            "name": "Website number",
            "line-memo": "Memo",
            "default_revenue_value": "",
            "medium_type": "Collateral",
            "cost_per_piece_final": Decimal("0.0100"),
            "addtl_line_memo": "Memo",
            "cost_per_piece_est": Decimal("0.0100"),
            "brand": "Brand",
            "service_line": "Service Line",
            "target": "Target",
            "offer": "Offer/Coupon",
            "direction": "inbound",
        },
    },
}
"""The record on the vendor's page, with its times read as US/Central, and with its four JSON syntax
errors and two masked e-mail addresses corrected."""

CALL_FIELDS: Final = tuple(VENDOR_EXAMPLE)
"""The documented top-level fields."""


def at(call: Call, *path: str) -> Any:  # noqa: ANN401 - a field can hold anything
    """Return the value of `call` at `path`, or None if a part of the path is absent."""
    value: Any = call
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value
