"""A message of a Git host for a person to look at."""

from __future__ import annotations

import json
import re
from typing import Any

from apps.audit.trail import MASK, without_credentials

SHOWN = 100_000
"""Characters of a message on a page."""
_SECRET = re.compile(
    r"password|passwd|secret|token|credential|private_key|authorization|signature", re.IGNORECASE
)


def shown(text: str) -> tuple[str, bool]:
    """The message, indented, with what may be a secret masked: values whose name says so, and
    passwords in addresses. And whether it was cut."""
    try:
        whole = json.dumps(_masked(json.loads(text)), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        whole = without_credentials(text)
    return whole[:SHOWN], len(whole) > SHOWN


def _masked(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _masked(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_masked(one, name) for one in value]
    if not isinstance(value, str):
        return value
    # Names of addresses say `tokens_url`, and hold none.
    secret = _SECRET.search(name) and not name.endswith("_url")
    return MASK if secret and value else without_credentials(value)
