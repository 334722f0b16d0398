"""./mist test: brings what the chosen tests need, then runs them.

./mist test                                     everything
./mist test -m "not docker and not browser"     the quick loop
./mist test tests/engine -k fetch               any words of pytest
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from apps.engine.errors import HostProblem
from apps.engine.style import build_style

ROOT = Path(__file__).resolve().parent.parent
QUICK = "not docker and not browser"
CORES = os.cpu_count() or 1
SIDE_BY_SIDE = ("-n", str(min(4, CORES)))
ON_THE_MACHINE = ("-n", str(min(4, CORES + 1)), "--dist=loadfile", "--no-loadscope-reorder")
"""Much of what these do is to wait for programs. A file's tests share what they set up."""


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
    if not words:
        return run_everything()
    if quick and not any(word.startswith(("-n", "--numprocesses")) for word in words):
        words = [*SIDE_BY_SIDE, *words]
    return int(pytest.main(words))


def run_everything() -> int:
    """First what needs nothing but Python, then what uses this machine's engine and browser, the
    second also when the first has failed."""
    own = [sys.executable, "-m", "pytest", "--hypothesis-profile=deep"]
    parts = (
        [*SIDE_BY_SIDE, "-m", QUICK],
        [*ON_THE_MACHINE, "-m", "docker or browser", "--durations=15"],
    )
    ended = [subprocess.run([*own, *part], cwd=ROOT, check=False).returncode for part in parts]
    return next(filter(None, ended), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
