"""./mist test: brings what the chosen tests need, then runs them.

./mist test                                     everything
./mist test -m "not docker and not browser"     the quick loop
./mist test tests/engine -k fetch               any words of pytest

What uses the engine and the browser takes an hour one after the other and half of that with
-m "docker or browser" -n 3 --dist=loadfile --no-loadscope-reorder, where a busy machine may make a
test wait longer than it does.
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
SIDE_BY_SIDE = ("-n", str(min(4, os.cpu_count() or 1)))


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
    """First what needs nothing but Python, side by side; then, one after the other, what uses this
    machine's engine and browser, which would slow each other down. Each part in a process of its
    own, and the second also when the first has failed."""
    own = [sys.executable, "-m", "pytest", "--hypothesis-profile=deep"]
    parts = ([*SIDE_BY_SIDE, "-m", QUICK], ["-m", "docker or browser", "--durations=15"])
    ended = [subprocess.run([*own, *part], cwd=ROOT, check=False).returncode for part in parts]
    return next(filter(None, ended), 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
