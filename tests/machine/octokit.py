"""GitHub's own examples of webhook messages: the package @octokit/webhooks-examples (MIT), fetched
once and kept beside what else the tests bring along."""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

from tests.machine.kept import cache

NAME, VERSION = "@octokit/webhooks-examples", "7.6.1"
FILE = f"octokit-webhooks-examples-{VERSION}.tgz"
DIGEST = "De6U3XB6O3DtCa7bKgCMzTHdeopqqZ6SNivMYJnK65ierKL1AnNIA0tkRYCRS7lwGT792d+Ps1WbfHlso6MynQ=="
"""SHA-512 of the archive."""


def ensure_examples() -> Path:
    """The archive, as it was published. Raises `RuntimeError` when npm is missing or brings
    something else."""
    kept = cache() / FILE
    if not kept.is_file() or _digest(kept) != DIGEST:
        npm = shutil.which("npm")
        if npm is None:
            raise RuntimeError("npm is missing: python -m tests.machine.provision brings it.")
        words = [npm, "pack", f"{NAME}@{VERSION}", "--silent", f"--pack-destination={cache()}"]
        subprocess.run(words, cwd=cache(), check=True, timeout=300, capture_output=True)
    if (found := _digest(kept)) != DIGEST:
        raise RuntimeError(f"{FILE} is not what was published: SHA-512 {found}.")
    return kept


def _digest(file: Path) -> str:
    return base64.b64encode(hashlib.sha512(file.read_bytes()).digest()).decode()


@functools.cache
def examples() -> dict[str, list[tuple[str, dict[str, Any]]]]:
    """Which GitHub (github.com, a GitHub Enterprise Server) → its events, each with a message."""
    found: dict[str, list[tuple[str, dict[str, Any]]]] = {}
    with tarfile.open(ensure_examples()) as archive:
        for member in archive.getmembers():
            if not member.name.endswith("/index.json"):
                continue
            content = archive.extractfile(member)
            assert content is not None
            found[member.name.split("/")[1]] = [
                (event["name"], payload)
                for event in json.load(content)
                for payload in event["examples"]
            ]
    return found
