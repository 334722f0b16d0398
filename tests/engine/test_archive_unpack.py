"""Archives that people bring, and what some of them try."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.engine import unpacking
from apps.engine.errors import InvalidSource
from apps.engine.unpacking import unpack

MB = 1024 * 1024


def tar(mode: str = "w:gz", *members: tuple[str, Any]) -> io.BytesIO:
    """Name → bytes of a file, or a dictionary of what the header says."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members:
            info = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
            else:
                for key, value in content.items():
                    setattr(info, key, value)
                archive.addfile(info)
    made.seek(0)
    return made


def zipped(
    *members: tuple[str, Any], mode: int = 0o100644, packing: int = zipfile.ZIP_DEFLATED
) -> io.BytesIO:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", packing) as archive:
        for name, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            info.compress_type = packing
            archive.writestr(info, content)
    made.seek(0)
    return made


def link(to: str, kind: bytes = tarfile.SYMTYPE) -> dict[str, Any]:
    return {"type": kind, "linkname": to}


def files_in(root: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_every_kind_of_tar_is_unpacked(tmp_path: Path, mode: str) -> None:
    archive = tar(mode, ("Dockerfile", b"FROM scratch\n"), ("src/app.py", b"print()\n" * 50_000))
    root = unpack(archive, tmp_path / "x", most=MB)
    assert root == tmp_path / "x"
    assert files_in(root) == {"Dockerfile": b"FROM scratch\n", "src/app.py": b"print()\n" * 50_000}


def test_a_zip_is_unpacked_and_a_single_folder_around_it_left_out(tmp_path: Path) -> None:
    archive = zipped(("shop-main/Dockerfile", b"FROM scratch\n"), ("shop-main/a/b", b"b"))
    assert files_in(unpack(archive, tmp_path / "x", most=MB)) == {
        "Dockerfile": b"FROM scratch\n",
        "a/b": b"b",
    }


def test_executable_bits_are_kept_and_no_others(tmp_path: Path) -> None:
    archive = tar("w", ("run", {"mode": 0o6777}), ("read", {"mode": 0o4644}))
    root = unpack(archive, tmp_path / "x", most=MB)
    assert stat.S_IMODE((root / "run").stat().st_mode) & 0o7111 == 0o111
    assert stat.S_IMODE((root / "read").stat().st_mode) & 0o7111 == 0
    packed = zipped(("run.sh", b"#!/bin/sh\n"), ("x", b""), mode=0o100755)
    assert os.access(unpack(packed, tmp_path / "y", most=MB) / "run.sh", os.X_OK)


def test_links_inside_are_kept(tmp_path: Path) -> None:
    archive = tar(
        "w",
        ("top/a/file", b"content"),
        ("top/a/same", link("top/a/file", tarfile.LNKTYPE)),
        ("top/b/soft", link("../a/file")),
    )
    root = unpack(archive, tmp_path / "x", most=MB)
    assert (root / "a/same").read_bytes() == (root / "b/soft").read_bytes() == b"content"
    assert (root / "a/same").stat().st_nlink == 1


ESCAPES: dict[str, Callable[[], io.BytesIO]] = {
    "a name that goes up": lambda: tar("w", ("../out", b"x")),
    "a name that goes up later": lambda: tar("w", ("a/../../out", b"x")),
    "a name from the root": lambda: tar("w", ("/tmp/out", b"x")),
    "the same in a zip": lambda: zipped(("../out", b"x")),
    "from the root in a zip": lambda: zipped(("/tmp/out", b"x")),
    "with the slashes of Windows": lambda: _windows("..\\out"),
    "a link from the root": lambda: tar("w", ("a", link("/etc/passwd")), ("b", b"")),
    "a link that goes up": lambda: tar("w", ("a/b", link("../../etc")), ("b", b"")),
    "a link that goes up once the folder around is left out": lambda: tar(
        "w", ("top/a", link("../x")), ("top/b", b"")
    ),
    "a link that goes up behind another": lambda: tar(
        "w", ("dot", link(".")), ("b", link("dot/../out")), ("c", b"")
    ),
    "a file behind a link": lambda: tar("w", ("a", link("..")), ("a/out", b"x")),
    "a file behind a link that stays": lambda: tar("w", ("b/x", b""), ("a", link("b")), ("a/out", b"x")),
    "a link behind a link": lambda: tar("w", ("b/x", b""), ("a", link("b")), ("a/l", link("../x"))),
    "a hard link to outside": lambda: tar("w", ("a", link("/etc/passwd", tarfile.LNKTYPE))),
    "a hard link up": lambda: tar("w", ("a", link("../../etc/passwd", tarfile.LNKTYPE))),
    "a hard link to a link": lambda: tar(
        "w", ("a", link("b")), ("c", link("a", tarfile.LNKTYPE)), ("d", b"")
    ),
    "a device": lambda: tar("w", ("a", {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3})),
    "a block device": lambda: tar("w", ("a", {"type": tarfile.BLKTYPE})),
    "a pipe": lambda: tar("w", ("a", {"type": tarfile.FIFOTYPE})),
    "a pipe in a zip": lambda: zipped(("a", b""), mode=0o010644),
    "a link in a zip": lambda: zipped(("a", b"/etc/passwd"), mode=0o120777),
    "a file that is a folder": lambda: tar("w", ("a", b""), ("a/b", b"")),
    "a folder that is a file": lambda: tar("w", ("a/b", b""), ("a", b"")),
    "a name that is too long": lambda: tar("w", ("a" * 300, b"")),
}  # fmt: skip


def _windows(name: str) -> io.BytesIO:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        info = zipfile.ZipInfo("placeholder")
        info.filename, info.create_system = name, 0
        archive.writestr(info, b"x")
    return made


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_leaves_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidSource) as refused:
        unpack(ESCAPES[name](), tmp_path / "deep" / "x", most=MB)
    assert refused.value.sentence.endswith((".", "xz."))
    outside = [p for p in tmp_path.rglob("*") if not p.is_relative_to(tmp_path / "deep" / "x")]
    assert outside == [tmp_path / "deep"]


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_bomb_ends_early(tmp_path: Path, mode: str) -> None:
    with pytest.raises(InvalidSource, match="too large"):
        unpack(tar(mode, ("a", bytes(3 * MB))), tmp_path / "x", most=MB)
    assert sum(len(content) for content in files_in(tmp_path).values()) <= MB


def test_a_bomb_of_what_is_skipped_ends_early(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(unpacking, "ENTRIES_MAX", 10)
    with pytest.raises(InvalidSource, match="too large"):
        unpack(tar("w:gz", (".git/objects/x", bytes(9 * MB))), tmp_path / "x", most=MB)


def test_a_zip_that_lies_about_its_sizes_ends_early(tmp_path: Path) -> None:
    with pytest.raises(InvalidSource):
        unpack(zipped(("a", bytes(3 * MB))), tmp_path / "x", most=MB)


@pytest.mark.parametrize("make", [lambda m: tar("w:gz", *m), lambda m: zipped(*m)])
def test_there_are_only_so_many_entries(tmp_path: Path, monkeypatch: Any, make: Any) -> None:
    monkeypatch.setattr(unpacking, "ENTRIES_MAX", 100)
    with pytest.raises(InvalidSource, match="more than 100 entries"):
        unpack(make([(f"{n}", b"") for n in range(101)]), tmp_path / "x", most=MB)


def test_a_header_larger_than_any_name_is_refused(tmp_path: Path) -> None:
    long = tarfile.TarInfo("././@LongLink")
    long.type, long.size = tarfile.GNUTYPE_LONGNAME, 900 * MB
    with pytest.raises(InvalidSource, match="too long"):
        unpack(io.BytesIO(long.tobuf()), tmp_path / "x", most=1024 * MB)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x1f\x8b\x08broken", b"BZhbroken", b"\xfd7zXZ\x00broken", b"PK\x03\x04broken", b"Rar!\x1a\x07\x01\x00" + bytes(600)],
)  # fmt: skip
def test_what_is_no_archive_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    try:
        root = unpack(io.BytesIO(content), tmp_path / "x", most=MB)
    except InvalidSource as error:
        assert "archive" in error.sentence
    else:
        assert files_in(root) == {}, "An empty file is an empty tar."


def test_a_cut_archive_is_damaged(tmp_path: Path) -> None:
    whole = tar("w:gz", ("a", os.urandom(100_000))).getvalue()
    with pytest.raises(InvalidSource, match="damaged"):
        unpack(io.BytesIO(whole[:50_000]), tmp_path / "x", most=MB)


NAMES = st.one_of(
    st.lists(
        st.sampled_from(["..", ".", "", "a", "b", ".git", "..a", "a..", "\\", "C:", "~", "\x01", "ü", "a\nb"]),
        min_size=1, max_size=6,
    ).map("/".join),
    st.text(min_size=1, max_size=40),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    names=st.lists(NAMES, min_size=1, max_size=6),
    kinds=st.lists(st.sampled_from(["file", "sym", "hard", "dir"]), min_size=6, max_size=6),
    ways=st.lists(NAMES, min_size=6, max_size=6),
)
def test_whatever_the_names_everything_stays_inside(
    names: list[str], kinds: list[str], ways: list[str]
) -> None:
    types = {"sym": tarfile.SYMTYPE, "hard": tarfile.LNKTYPE, "dir": tarfile.DIRTYPE}
    members: list[tuple[str, Any]] = [
        (name, b"x" if kind == "file" else {"type": types[kind], "linkname": way})
        for name, kind, way in zip(names, kinds, ways, strict=False)
    ]
    with tempfile.TemporaryDirectory() as place:
        top = Path(place)
        (top / "secret").write_bytes(b"secret")
        try:
            root = unpack(tar("w", *members), top / "x", most=MB)
        except (InvalidSource, UnicodeEncodeError):
            root = top / "x"
        assert {path.name for path in top.iterdir()} <= {"secret", "x"}
        assert (top / "secret").read_bytes() == b"secret"
        for folder, folders, files in os.walk(root):
            for name in [*folders, *files]:
                path = Path(folder) / name
                if path.is_symlink():
                    real = Path(os.path.realpath(path))
                    assert real.is_relative_to(os.path.realpath(root))
                assert ".git" not in path.parts
