"""The one example of a call that Callcap documents, made whole.

As documented it is no valid JSON: a comma is missing after `view_reason` and after
`callsurance`, and there is one too many after `inaccuracy` and after `direction`.
Names, places and types are the documented ones, but for `line-memo`, which stands here
under the name that the tap gives it. Free text, names and addresses are made up.
"""

from __future__ import annotations

from typing import Any

VENDOR_CALL: dict[str, Any] = {
    "call_id": "987654_23_11_19_2012_17:07:29_12",
    "recording": "https://calls.example.com/987654_23_11_19_2012_10_01_29_12.mp3",
    "action": "Answer",
    "start_datetime": "2020-09-01 09:07:15",
    "last_modified": "2021-11-01 19:10:46",
    "end_datetime": "2020-09-01 09:47:15",
    "dtmf": "123#",
    "import": {"reference_id": "zyx321_xyz"},
    "sentiment": {
        "frustrated_reason": "",
        "concern_class": "",
        "sentiment": "Neutral",
        "frustrated": False,
        "view_reason": "The caller confirmed an appointment.",
        "view": "Neutral",
        "satisfied": True,
    },
    "duration": 570,
    "rings": 4,
    "revenue": 0,
    "notes": "A sink leaks; appointment made.",
    "caller": {
        "city": "Wichita",
        "class": "Residential",
        "state": "KS",
        "name": "Caller One",
        "address": "NF",
        "zip": "67202",
        "caller_id": "555-555-0100",
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
            "csr": {"id": 1122334, "name": "Employee One"},
            "original": {
                "csr": {"id": 123456, "name": "Employee Two"},
                "major": {"label": "Negative", "id": 2},
                "minor": {"label": "No sale", "id": 7654321, "tag": "noSale"},
            },
            "customer": {"email": "customer@example.com", "name": "Customer One"},
            "minor": {
                "label": "Appointment Booked",
                "id": 12345678,
                "tag": "appointmentBooked",
            },
            "inaccuracy": "Callsurance Analyst Mistake",
        },
    },
    "callsaver": {
        "date": "2020-06-12 16:46:33",
        "outcome": {"label": "Lost", "id": 2},
        "reason": {
            "label": "Customer repaired problem",
            "id": 111,
            "opportunity": True,
        },
        "user": {
            "lastname": "Three",
            "firstname": "Employee",
            "email": "employee@example.com",
        },
    },
    "webmatch": {
        "ad_group": "",
        "creative_id": "",
        "search": "leaking sink",
        "keyword_id": "",
        "ad_placement": "",
        "referrer": "https://search.example.com/?q=leaking+sink",
        "traffic_type": "organic",
        "call_page": "https://www.example.com/",
        "visitor": {
            "device": {"type": "mobile"},
            "os": {"name": "Android", "version": "4.4.2"},
            "browser": {"name": "Chrome", "version": "28.0.1500.94"},
        },
    },
    "summaries": [
        {"type": "Outcome Focused", "text": "An appointment was made."},
        {"type": "Agent Focused", "text": "The agent gave no name."},
    ],
    "scorecards": [
        {
            "name": "Scorecard name",
            "results": [
                {
                    "question": "Was the greeting right?",
                    "answers": [
                        {"entry": True, "value": 8, "max_value": 8.0, "min_value": 0.0},
                    ],
                },
                {
                    "question": "Which products were asked for?",
                    "answers": [
                        {
                            "entry": "Widgets",
                            "value": 2,
                            "max_value": 2.0,
                            "min_value": 0.0,
                        },
                        {
                            "entry": "Gadgets",
                            "value": 2,
                            "max_value": 2.0,
                            "min_value": 0.0,
                        },
                    ],
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
            "callcap_number": "555-555-0101",
            "dialed_number": "555-555-0102",
            "destination_number": "555-555-0103",
            "ivr_option": 2,
            "medium": "Website",
            "name": "Website number",
            "line_memo": "Memo",
            "default_revenue_value": "",
            "medium_type": "Collateral",
            "cost_per_piece_final": 0.01,
            "addtl_line_memo": "Memo",
            "cost_per_piece_est": 0.01,
            "brand": "Brand",
            "service_line": "Service Line",
            "target": "Target",
            "offer": "Offer/Coupon",
            "direction": "inbound",
        },
    },
}
