"""The frames that Git speaks in."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.engine.pkt_line import (
    FLUSH,
    PIECE_MAX,
    REPORT,
    WORDS,
    ZERO,
    Malformed,
    Push,
    RefUpdate,
    Report,
    commands_of,
    pkt,
    read_pkt,
    read_push,
    read_report,
    sideband,
    words,
)

NEW = "1" * 40
MAIN = RefUpdate(ZERO, NEW, "refs/heads/main")


def test_a_line_counts_its_own_digits() -> None:
    assert pkt(b"hello\n") == b"000ahello\n"
    assert read_pkt(io.BytesIO(b"000ahello\nmore")) == b"hello\n"
    assert read_pkt(io.BytesIO(FLUSH)) is None


@given(st.binary(max_size=3 * PIECE_MAX), st.sampled_from([REPORT, WORDS]))
def test_a_sideband_brings_back_what_went_in(data: bytes, band: int) -> None:
    stream, found = io.BytesIO(sideband(band, data) + FLUSH), b""
    while (piece := read_pkt(stream)) is not None:
        assert piece[0] == band and len(piece) <= PIECE_MAX + 1
        found += piece[1:]
    assert found == data and stream.read() == b""


def test_words_are_whole_lines_and_none_are_no_line() -> None:
    assert words(["Hello", "there"]) == pkt(b"\x02Hello\nthere\n")
    assert words([]) == b""
    assert sideband(REPORT, b"") == b"0005\x01", "as Git keeps a line open"


def test_a_push_is_read_up_to_its_pack() -> None:
    first = f"{ZERO} {NEW} refs/heads/main\0 report-status side-band-64k agent=git/2".encode()
    second = f"{NEW} {ZERO} refs/heads/old".encode()
    stream = io.BytesIO(pkt(first) + pkt(second) + FLUSH + b"PACK.")
    push = read_push(stream)
    assert push.updates == (MAIN, RefUpdate(NEW, ZERO, "refs/heads/old"))
    assert push.updates[1].deletes and push.has_sideband and push.wants_report
    assert stream.read() == b"PACK." and push.pack_at == stream.getvalue().index(b"PACK")


def test_a_request_that_only_tries_has_no_updates() -> None:
    assert read_push(io.BytesIO(FLUSH)) == Push(pack_at=4)


def test_commands_are_written_as_they_are_read() -> None:
    shallow = b"shallow " + b"2" * 40
    push = Push((MAIN,), shallow=(shallow,))
    again = read_push(io.BytesIO(commands_of(push, [MAIN, MAIN])))
    assert again.updates == (MAIN, MAIN) and again.shallow == (shallow,)
    assert again.wants_report and not again.has_sideband


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"zzzz",
        b"0003",
        b"0010short",
        b"fff5" + b"x" * 70_000,
        pkt(b"push-cert\0x"),
        pkt(b"hello"),
        pkt(f"{ZERO} {NEW}".encode()),
        pkt(f"{ZERO} {NEW} refs/heads/a\nb".encode()),
        pkt(f"{ZERO} {NEW} refs/heads/".encode() + b"\xff"),
        pkt(f"{ZERO} {NEW} refs/heads/main".encode()),
        pkt(f"{ZERO} {NEW} refs/heads/main".encode()) * 1_001 + FLUSH,
        pkt(f"{ZERO} {NEW} refs/heads/".encode() + b"a" * 60_000) * 20 + FLUSH,
    ],
)
def test_what_git_does_not_send_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        read_push(io.BytesIO(data))


@given(st.binary(max_size=300))
def test_nothing_but_malformed_comes_of_any_bytes(data: bytes) -> None:
    try:
        read_push(io.BytesIO(data))
    except Malformed:
        pass


def test_a_report_says_what_became_of_each_ref() -> None:
    report = Report("ok", {"refs/heads/main": "", "refs/heads/x": "the deployment\nfailed"})
    data = report.encode()
    assert data.endswith(FLUSH) and pkt(b"ok refs/heads/main\n") in data
    again = read_report(data)
    assert again == Report("ok", {"refs/heads/main": "", "refs/heads/x": "the deployment failed"})


@pytest.mark.parametrize("data", [b"", b"0000", pkt(b"hello\n") + FLUSH, b"0010unpack", b"zzzz"])
def test_what_is_no_report_is_none(data: bytes) -> None:
    assert read_report(data) is None
