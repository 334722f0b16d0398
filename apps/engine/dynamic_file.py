"""Text of the files that Traefik reads while it runs, so that nothing in them is more than text.

One file that Traefik cannot read keeps it from all of them. It takes each for a template of Go's
before it takes it for YAML (`{{ env "HOME" }}`), and of JSON it does not know everything: half of a
pair as in `\\ud83d\\ude00` ends it, and so does a raw DEL.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_BEGINS_TEMPLATE = "{{"
_NOT_AS_IT_IS = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
"""What YAML has no room for, or would take for the end of a line (YAML 1.2, 5.1 and 5.4)."""


def file_text(content: Mapping[str, Any]) -> str:
    """The content as JSON that is YAML, and no template, with all its texts as they are: for a file
    in UTF-8. Raises `ValueError` for half of a pair."""
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False)
    text.encode()
    # Outside of its texts an indented file has no two braces in a row.
    text = text.replace(_BEGINS_TEMPLATE, "{\\u007b")
    return _NOT_AS_IT_IS.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"
