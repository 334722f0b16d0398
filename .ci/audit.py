#!/usr/bin/env python3
"""Whether a known vulnerability is in what Mist installs, by pip-audit.

Exit code 1 when there is one, or when pip-audit itself fails. Where there is no data to ask
(offline, or a package index that keeps none) it says that nothing was checked: pip-audit by itself
would say "No known vulnerabilities found".
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FILES = ("requirements.txt", "requirements-dev.txt")
NO_NETWORK = ("ConnectionError", "Max retries exceeded", "ConnectTimeout", "timed out")


def judge(report: dict[str, Any]) -> tuple[int, str]:
    """Exit code and what to say."""
    dependencies = report["dependencies"]
    asked = [one for one in dependencies if "skip_reason" not in one]
    found = [
        f"{one['name']} {one['version']}: {hole['id']}, repaired in {hole['fix_versions']}"
        for one in asked
        for hole in one["vulns"]
    ]
    if found:
        return 1, "\n".join(found)
    if not asked:
        return (
            0,
            f"SKIPPED, nothing was checked: no data about any of {len(dependencies)} packages.",
        )
    unknown = [one["name"] for one in dependencies if "skip_reason" in one]
    left = f" No data about: {', '.join(unknown)}." if unknown else ""
    return 0, f"{len(asked)} packages without a known vulnerability.{left}"


def main() -> int:
    words = [str(Path(sys.executable).parent / "pip-audit"), "--no-deps", "--disable-pip"]
    words += ["--progress-spinner=off", "--timeout=10", "--format=json"]
    words += [word for name in FILES for word in ("--requirement", str(ROOT / name))]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600)
    try:
        code, text = judge(json.loads(done.stdout))
    except ValueError:
        if any(reason in done.stderr for reason in NO_NETWORK):
            code, text = (
                0,
                "SKIPPED, nothing was checked: the vulnerability data cannot be reached.",
            )
        else:
            code, text = 1, done.stderr
    print(text)
    return code


if __name__ == "__main__":
    sys.exit(main())
