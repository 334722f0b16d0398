"""The check for known vulnerabilities never takes "nobody knows" for "there is none"."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

JUDGE = runpy.run_path(str(Path(__file__).resolve().parents[2] / ".ci" / "audit.py"))["judge"]
FINE: dict[str, Any] = {"name": "idna", "version": "3.20", "vulns": []}
HOLE = {"name": "x", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
UNKNOWN = {"name": "y", "skip_reason": "not found"}


def test_a_known_vulnerability_fails() -> None:
    code, text = JUDGE({"dependencies": [FINE, HOLE, UNKNOWN]})
    assert code == 1 and "CVE-1" in text and "repaired in ['2']" in text


def test_no_data_at_all_is_told_as_a_skip() -> None:
    assert JUDGE({"dependencies": [UNKNOWN]}) == (
        0,
        "SKIPPED, nothing was checked: no data about any of 1 packages.",
    )


def test_what_was_checked_is_told_apart_from_what_was_not() -> None:
    code, text = JUDGE({"dependencies": [FINE, UNKNOWN]})
    assert (code, text) == (0, "1 packages without a known vulnerability. No data about: y.")
