"""A build log after the machine lost its power: whole lines, and more come after them."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.deployments.log_writing import BLOCK, BuildLog

WHOLE = b"1795750860305 building one\n"


@pytest.mark.parametrize(
    ("left", "kept"),
    [
        (b"", b""),
        (WHOLE, WHOLE),
        (WHOLE + b"17957508", WHOLE + b"17957508\n"),
        (WHOLE + bytes(4096), WHOLE),
        (WHOLE + bytes(3 * BLOCK + 7), WHOLE),
        (WHOLE + b"1795750860305 buil" + bytes(100), WHOLE + b"1795750860305 buil\n"),
        (bytes(BLOCK), b""),
    ],
)
def test_what_a_power_cut_left_is_made_whole(tmp_path: Path, left: bytes, kept: bytes) -> None:
    path = tmp_path / "1.log"
    path.write_bytes(left)
    with BuildLog(path, nudge=lambda: None) as log:
        log.write("building", "two")
    found = path.read_bytes()
    assert found.startswith(kept) and found.endswith(b" building two\n")
    assert found.count(b"\n") == kept.count(b"\n") + 1
