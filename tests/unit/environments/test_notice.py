"""Cosset's own words in a function's log follow the function's log format."""

import json

from cosset.environments.notice import notice
from support.written import spec_for


def test_text(tmp_path):
    assert notice(spec_for(tmp_path), "served by another", 0) == "COSSET WARNING served by another\n"


def test_json(tmp_path):
    shown = json.loads(notice(spec_for(tmp_path, log_format="JSON"), "served by another", 1_763_700_000_123))
    assert shown == {
        "timestamp": "2025-11-21T04:40:00.123Z",
        "level": "WARN",
        "source": "cosset",
        "message": "served by another",
    }
