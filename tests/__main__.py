"""./mist test: brings what the chosen tests need, then runs them.

./mist test                                     everything
./mist test -m "not docker and not browser"     the quick loop
./mist test tests/engine -k fetch               any words of pytest
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from apps.engine.errors import HostProblem
from apps.engine.style import build_style

ROOT = Path(__file__).resolve().parent.parent
QUICK = "not docker and not browser"


def main(words: list[str]) -> int:
    quick = QUICK in " ".join(words)
    try:
        build_style(ROOT, log=print)
        if not quick:
            from tests.machine.provision import provision

            provision()
    except HostProblem as error:
        print(f"mist test: {error.sentence}\n{error.hint}\n{error.detail}".strip(), file=sys.stderr)
        return 1
    if quick and not any(word.startswith(("-n", "--numprocesses")) for word in words):
        words = ["-n", str(min(4, os.cpu_count() or 1)), *words]
    if not quick and not any(word.startswith("--hypothesis-profile") for word in words):
        words = ["--hypothesis-profile=deep", *words]
    return int(pytest.main(words))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
